//! The ledger's one writer: gathers groups, commits them, and falls back to the spool.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::store::{Store, permanent};
use super::{Entry, WhenDown, record, refusal};
use crate::id::TraceId;
use crate::limits;
use crate::ports::Spool;
use crate::problem::Problem;
use crate::storage::Mutation;
use crate::time::now_us;

pub(super) struct Writer {
    store: Arc<Store>,
    spool: Arc<dyn Spool>,
    when_down: WhenDown,
    /// Spans of finished commits, which a later group takes along.
    commit_spans: Vec<Mutation>,
    /// When they are to be written.
    spans_due: Instant,
}

impl Writer {
    pub(super) fn new(store: Arc<Store>, spool: Arc<dyn Spool>, when_down: WhenDown) -> Self {
        Self {
            store,
            spool,
            when_down,
            commit_spans: Vec::new(),
            spans_due: Instant::now(),
        }
    }

    pub(super) async fn run(mut self, mut entries: mpsc::Receiver<Entry>) {
        let mut group = Vec::with_capacity(limits::LEDGER_GROUP);
        loop {
            let taken = if self.commit_spans.is_empty() {
                entries.recv_many(&mut group, limits::LEDGER_GROUP).await
            } else {
                tokio::select! {
                    biased;
                    taken = entries.recv_many(&mut group, limits::LEDGER_GROUP) => taken,
                    () = sleep_until(self.spans_due) => {
                        self.write_commit_spans().await;
                        continue;
                    }
                }
            };
            if taken == 0 {
                break;
            }
            self.write_groups(std::mem::take(&mut group)).await;
        }
        self.write_commit_spans().await;
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
        let mut batch = match self.spans_due <= Instant::now() {
            true => std::mem::take(&mut self.commit_spans),
            false => Vec::new(),
        };
        let shared = batch.len();
        let (mut ends, mut waiting) = (Vec::with_capacity(group.len()), Vec::with_capacity(group.len()));
        for entry in group {
            let Entry { record, done, _room } = entry;
            record.into_mutations(&commit_id, &mut batch);
            ends.push(batch.len());
            waiting.push((done, _room));
        }
        let outcome = self.commit(&batch, &commit_id, waiting.len()).await;
        match outcome {
            Err(problem) if permanent(&problem) => {
                tracing::error!(%problem, calls = waiting.len(), "the storage refuses a group; its calls go one by one");
                if shared > 0 {
                    // Spans of earlier commits, whose callers have been answered.
                    let _ = self
                        .commit(batch.get(..shared).unwrap_or_default(), &commit_id, 0)
                        .await;
                }
                let mut start = shared;
                for (end, (done, _)) in ends.into_iter().zip(waiting) {
                    let alone = batch.get_mut(start..end).unwrap_or_default();
                    start = end;
                    let own_id = TraceId::new().to_string();
                    record::written_by(alone, &own_id);
                    let _ = done.send(self.commit(alone, &own_id, 1).await);
                }
            }
            outcome => {
                for (done, _) in waiting {
                    // A caller that no longer waits has its trace all the same.
                    let _ = done.send(outcome.clone());
                }
            }
        }
    }

    /// To the storage, or to the spool. A batch that the storage would refuse for ever is the callers' to hear of.
    async fn commit(&mut self, batch: &[Mutation], commit_id: &str, calls: usize) -> Result<(), Problem> {
        let problem = match self.store.is_down() {
            false => match self.write(batch, commit_id, calls).await {
                Ok(()) => return Ok(()),
                Err(problem) => problem,
            },
            true => refusal(),
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

    async fn write(&mut self, batch: &[Mutation], commit_id: &str, calls: usize) -> Result<(), Problem> {
        let start_us = now_us();
        match self.store.write(batch).await {
            Ok(crossings) => {
                if calls > 0 {
                    let span = record::commit_span(commit_id, &crossings, start_us, now_us(), calls);
                    if self.commit_spans.is_empty() {
                        self.spans_due = Instant::now() + limits::COMMIT_SPAN_DELAY;
                    }
                    self.commit_spans.push(span);
                }
                Ok(())
            }
            Err(problem) => {
                if !permanent(&problem) {
                    self.store.went_down();
                }
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

    /// Nothing came for a while: the last commits' spans are written alone. They are not worth the spool.
    async fn write_commit_spans(&mut self) {
        let spans = std::mem::take(&mut self.commit_spans);
        if spans.is_empty() || self.store.is_down() {
            return;
        }
        if let Err(problem) = self.write(&spans, "", 0).await {
            tracing::warn!(%problem, "the spans of the last group commits are lost");
        }
    }
}
