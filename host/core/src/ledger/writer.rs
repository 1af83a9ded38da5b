//! The ledger's one writer: gathers groups, commits them, and falls back to the spool.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::{Entry, WhenDown, record, refusal};
use crate::call::Call;
use crate::generation::Current;
use crate::id::TraceId;
use crate::limits;
use crate::ports::Spool;
use crate::problem::{Problem, ProblemKind};
use crate::storage::{Durability, Mutation};
use crate::time::now_us;

pub(super) struct Writer {
    current: Arc<Current>,
    spool: Arc<dyn Spool>,
    when_down: WhenDown,
    down: Arc<AtomicBool>,
    /// When the storage may be asked again after it failed.
    retry_at: Instant,
    /// Spans of finished commits, which the next group takes along.
    commit_spans: Vec<Mutation>,
}

impl Writer {
    pub(super) fn new(
        current: Arc<Current>,
        spool: Arc<dyn Spool>,
        when_down: WhenDown,
        down: Arc<AtomicBool>,
    ) -> Self {
        Self {
            current,
            spool,
            when_down,
            down,
            retry_at: Instant::now(),
            commit_spans: Vec::new(),
        }
    }

    pub(super) async fn run(mut self, mut entries: mpsc::Receiver<Entry>) {
        let mut group = Vec::with_capacity(limits::LEDGER_GROUP);
        loop {
            let pause = if self.commit_spans.is_empty() {
                limits::REPLAY_EVERY
            } else {
                limits::COMMIT_SPAN_DELAY
            };
            tokio::select! {
                biased;
                taken = entries.recv_many(&mut group, limits::LEDGER_GROUP) => {
                    if taken == 0 {
                        break;
                    }
                    self.write_groups(std::mem::take(&mut group)).await;
                }
                () = sleep(pause) => self.idle().await,
            }
            self.replay().await;
        }
        self.idle().await;
        self.replay().await;
    }

    /// Splits what gathered where it would be too large for one call across a plugin's boundary.
    async fn write_groups(&mut self, entries: Vec<Entry>) {
        let (mut group, mut bytes, mut rows) = (Vec::with_capacity(entries.len()), 0, 0);
        for entry in entries {
            bytes += entry.record.bytes();
            rows += entry.record.rows();
            let full = bytes > limits::LEDGER_GROUP_BYTES || rows > limits::LEDGER_GROUP_ROWS;
            if full && !group.is_empty() {
                self.write_group(std::mem::take(&mut group)).await;
                (bytes, rows) = (entry.record.bytes(), entry.record.rows());
            }
            group.push(entry);
        }
        self.write_group(group).await;
    }

    /// One group: to the storage, or to the spool when the storage fails, or back to the callers with a refusal.
    async fn write_group(&mut self, group: Vec<Entry>) {
        let commit_id = TraceId::new().to_string();
        let mut batch = std::mem::take(&mut self.commit_spans);
        let shared = batch.len();
        let (mut ends, mut waiting) = (Vec::with_capacity(group.len()), Vec::with_capacity(group.len()));
        for entry in group {
            entry.record.into_mutations(&commit_id, &mut batch);
            ends.push(batch.len());
            waiting.push(entry.done);
        }
        let outcome = self.commit(&batch, &commit_id, waiting.len()).await;
        match outcome {
            Err(problem) if permanent(&problem) => {
                tracing::error!(%problem, calls = waiting.len(), "the storage refuses a group; its calls go one by one");
                // Spans of earlier commits, whose callers have been answered.
                let _ = self
                    .commit(batch.get(..shared).unwrap_or_default(), &commit_id, 0)
                    .await;
                let mut start = shared;
                for (end, done) in ends.into_iter().zip(waiting) {
                    let alone = batch.get(start..end).unwrap_or_default();
                    start = end;
                    let _ = done.send(self.commit(alone, &commit_id, 1).await);
                }
            }
            outcome => {
                for done in waiting {
                    // A caller that no longer waits has its trace all the same.
                    let _ = done.send(outcome.clone());
                }
            }
        }
    }

    /// To the storage, or to the spool. A batch that the storage would refuse for ever is the callers' to hear of.
    async fn commit(&mut self, batch: &[Mutation], commit_id: &str, calls: usize) -> Result<(), Problem> {
        let problem = match self.may_ask() {
            true => match self.write(batch, commit_id, calls).await {
                Ok(()) => return Ok(()),
                Err(problem) => problem,
            },
            false => refusal(),
        };
        if permanent(&problem) {
            return Err(problem);
        }
        if self.when_down == WhenDown::Refuse {
            tracing::error!(%problem, calls, "the storage failed; calls are refused");
            return Err(refusal());
        }
        tracing::warn!(%problem, calls, "the storage failed; traces go to the spool");
        self.spool(batch.to_vec()).await
    }

    fn may_ask(&self) -> bool {
        !self.down.load(Ordering::Relaxed) || Instant::now() >= self.retry_at
    }

    async fn write(&mut self, batch: &[Mutation], commit_id: &str, calls: usize) -> Result<(), Problem> {
        let generation = self.current.get();
        let call = Call::of_server(limits::LEDGER_WRITE);
        let start_us = now_us();
        let write = generation.storage.write(&call, batch, Durability::Process);
        let outcome = timeout(limits::LEDGER_WRITE, write).await.unwrap_or_else(|_| {
            Err(Problem::new(
                ProblemKind::Timeout,
                "The storage did not answer in time.",
            ))
        });
        match outcome {
            Ok(_) => {
                if self.down.swap(false, Ordering::Relaxed) {
                    tracing::info!("the storage is back");
                }
                if calls > 0 {
                    let crossings = call.take_crossings();
                    self.commit_spans
                        .push(record::commit_span(commit_id, &crossings, start_us, now_us(), calls));
                }
                Ok(())
            }
            Err(problem) if permanent(&problem) => Err(problem),
            Err(problem) => {
                self.down.store(true, Ordering::Relaxed);
                self.retry_at = Instant::now() + limits::REPLAY_EVERY;
                Err(problem)
            }
        }
    }

    async fn spool(&self, batch: Vec<Mutation>) -> Result<(), Problem> {
        let spool = Arc::clone(&self.spool);
        let appended = tokio::task::spawn_blocking(move || spool.append(&batch)).await;
        appended
            .unwrap_or_else(|error| Err(Problem::internal(error)))
            .map_err(|problem| {
                tracing::error!(%problem, "the spool failed too; the call is reported as failed");
                refusal()
            })
    }

    /// Nothing came for a while: the last commits' spans are written alone, and a storage that was down is probed.
    async fn idle(&mut self) {
        let spans = std::mem::take(&mut self.commit_spans);
        let probing = self.down.load(Ordering::Relaxed) && self.may_ask();
        if (spans.is_empty() && !probing) || !self.may_ask() {
            return;
        }
        if let Err(problem) = self.write(&spans, "", 0).await {
            tracing::warn!(%problem, "the storage is down; the spans of the last group commits are lost");
        }
    }

    /// Writes the rows of a batch that was refused one by one, and drops those that are refused alone. Whether the storage
    /// answered to the end.
    async fn replay_rows(&mut self, batch: &[Mutation]) -> bool {
        for row in batch {
            match self.write(std::slice::from_ref(row), "", 0).await {
                Ok(()) => {}
                Err(problem) if permanent(&problem) => {
                    let trace = record::trace_of(row).unwrap_or("-");
                    tracing::error!(%problem, trace, "the storage refuses a spooled row for good; it is dropped");
                }
                Err(_) => return false,
            }
        }
        true
    }

    /// Writes what waits in the spool, oldest first, while the storage takes it.
    async fn replay(&mut self) {
        while !self.spool.is_empty() && self.may_ask() {
            let spool = Arc::clone(&self.spool);
            let oldest = tokio::task::spawn_blocking(move || spool.oldest(limits::REPLAY_BATCH)).await;
            let batches = match oldest.unwrap_or_else(|error| Err(Problem::internal(error))) {
                Ok(batches) => batches,
                Err(problem) => {
                    tracing::error!(%problem, "the spool cannot be read");
                    self.retry_at = Instant::now() + limits::REPLAY_EVERY;
                    return;
                }
            };
            for (position, batch) in batches {
                match self.write(&batch, "", 0).await {
                    Ok(()) => tracing::info!(rows = batch.len(), "spooled traces were written"),
                    Err(problem) if permanent(&problem) => {
                        // It would fail for ever and block what waits behind it.
                        tracing::error!(%problem, "the storage refuses spooled traces; their rows go one by one");
                        if !self.replay_rows(&batch).await {
                            return;
                        }
                    }
                    Err(_) => return,
                }
                let spool = Arc::clone(&self.spool);
                let forgotten = tokio::task::spawn_blocking(move || spool.forget(position)).await;
                if let Err(problem) = forgotten.unwrap_or_else(|error| Err(Problem::internal(error))) {
                    tracing::error!(%problem, "the spool cannot forget; its traces will be written again");
                    return;
                }
            }
        }
    }
}

/// Whether a batch would fail however often it is tried.
fn permanent(problem: &Problem) -> bool {
    matches!(
        problem.kind,
        ProblemKind::InvalidRequest | ProblemKind::TooLarge | ProblemKind::Conflict | ProblemKind::Unsupported
    )
}
