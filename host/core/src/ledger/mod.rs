//! The ledger: one trace a call, committed before the call's last byte (invariant 9).
//!
//! Calls hand their exchange to one writer through a bounded queue and wait for the group commit that takes it. While
//! one group is being written the next one gathers, so that many callers share one transaction.
//!
//! When the storage is down, the operator's choice decides: [`WhenDown::Spool`] serves, appends to the spool and replays
//! later (upserts, so that a replay repeats nothing); [`WhenDown::Refuse`] answers `unavailable`.

mod messages;
mod record;
mod replay;
mod store;
mod writer;

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::{AbortHandle, JoinHandle};

use crate::call::Call;
use crate::generation::Current;
use crate::limits;
use crate::ports::Spool;
use crate::problem::{Problem, ProblemKind};
use crate::trace::Exchange;
use record::Record;
use store::Store;

/// What happens to calls while the storage is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenDown {
    /// Serve; keep traces in the spool and replay them later.
    #[default]
    Spool,
    /// Refuse new calls with `unavailable`.
    Refuse,
}

/// The handle that flows hold. Cloning shares it.
#[derive(Clone)]
pub struct Ledger(Arc<Inner>);

struct Inner {
    queue: Mutex<Option<mpsc::Sender<Entry>>>,
    sender: mpsc::WeakSender<Entry>,
    /// Bytes that records may still take in the queue.
    room: Arc<Semaphore>,
    /// Steps of [`limits::ANSWER_STEP`] that answers under way may still take.
    answers: Arc<Semaphore>,
    writer: Mutex<Option<JoinHandle<()>>>,
    replay: AbortHandle,
    store: Arc<Store>,
    when_down: WhenDown,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.replay.abort();
    }
}

/// A record on its way to the writer.
struct Entry {
    record: Record,
    done: oneshot::Sender<Result<(), Problem>>,
    _room: OwnedSemaphorePermit,
}

impl Ledger {
    /// Starts the writer. It writes to the storage of the generation that is current when a group begins.
    pub fn start(current: Arc<Current>, spool: Arc<dyn Spool>, when_down: WhenDown) -> Self {
        let (queue, entries) = mpsc::channel(limits::LEDGER_QUEUE);
        let store = Arc::new(Store::new(current));
        let replay = tokio::spawn(replay::run(Arc::clone(&store), Arc::clone(&spool))).abort_handle();
        let writer = writer::Writer::new(Arc::clone(&store), spool, when_down);
        Self(Arc::new(Inner {
            sender: queue.downgrade(),
            queue: Mutex::new(Some(queue)),
            room: Arc::new(Semaphore::new(limits::LEDGER_QUEUE_BYTES)),
            answers: Arc::new(Semaphore::new(limits::ANSWERS_BYTES / limits::ANSWER_STEP)),
            writer: Mutex::new(Some(tokio::spawn(writer.run(entries)))),
            replay,
            store,
            when_down,
        }))
    }

    /// Whether a new call may start.
    ///
    /// # Errors
    /// `Unavailable` while the storage is down and the operator chose to refuse.
    pub fn admit(&self) -> Result<(), Problem> {
        if self.0.when_down == WhenDown::Refuse && self.0.store.is_down() {
            return Err(refusal());
        }
        Ok(())
    }

    /// Room for one answer to be remembered; it takes what it needs as it grows.
    pub(crate) fn room(&self) -> Room {
        Room {
            answers: Arc::clone(&self.0.answers),
            held: None,
        }
    }

    /// Remembers a finished call; returns when its trace is committed or spooled.
    ///
    /// # Errors
    /// `Unavailable` when neither was possible.
    pub async fn record(&self, call: &Call, exchange: Exchange) -> Result<(), Problem> {
        let closed = || Problem::internal("the ledger is closed");
        let queue = self.0.sender.upgrade().ok_or_else(closed)?;
        let (done, committed) = oneshot::channel();
        let record = Record::of(call, exchange);
        let bytes = u32::try_from(record.bytes().min(limits::LEDGER_QUEUE_BYTES)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.0.room);
        let room = room.acquire_many_owned(bytes).await.map_err(|_| closed())?;
        let entry = Entry {
            record,
            done,
            _room: room,
        };
        queue.send(entry).await.map_err(|_| closed())?;
        drop(queue);
        committed.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Takes no more records, and returns when all that were taken are written or spooled.
    pub async fn close(&self) {
        self.0.replay.abort();
        self.0.queue.lock().await.take();
        let writer = self.0.writer.lock().await.take();
        if let Some(writer) = writer
            && let Err(error) = writer.await
        {
            tracing::error!(%error, "the ledger's writer ended badly");
        }
    }
}

/// What one answer takes of the memory of all; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    answers: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// Makes sure that so many bytes are held in all.
    ///
    /// # Errors
    /// `Overloaded` when the answers of all callers take what there is.
    pub(crate) fn hold(&mut self, bytes: usize) -> Result<(), Problem> {
        let steps = bytes / limits::ANSWER_STEP;
        let lacking = steps.saturating_sub(self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
        if lacking == 0 {
            return Ok(());
        }
        let lacking = u32::try_from(lacking).unwrap_or(u32::MAX);
        let taken = Arc::clone(&self.answers).try_acquire_many_owned(lacking).map_err(|_| {
            Problem::new(ProblemKind::Overloaded, "Too many long answers are under way at once.")
                .with_retry_after(std::time::Duration::from_secs(1))
        })?;
        match &mut self.held {
            Some(held) => held.merge(taken),
            none => *none = Some(taken),
        }
        Ok(())
    }
}

/// What callers hear while the storage is down and the operator chose to refuse.
fn refusal() -> Problem {
    Problem::new(
        ProblemKind::Unavailable,
        "The server cannot record calls now and was told not to serve unrecorded.",
    )
    .with_code("storage_unavailable")
    .with_retry_after(limits::REPLAY_EVERY * 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_share_the_room_that_there_is() {
        let answers = Arc::new(Semaphore::new(3));
        let room = || Room {
            answers: Arc::clone(&answers),
            held: None,
        };
        let (mut one, mut other) = (room(), room());
        one.hold(limits::ANSWER_STEP - 1).unwrap();
        assert_eq!(answers.available_permits(), 3, "a short answer takes none");
        one.hold(2 * limits::ANSWER_STEP).unwrap();
        one.hold(2 * limits::ANSWER_STEP + 5).unwrap();
        assert_eq!(answers.available_permits(), 1);
        other.hold(limits::ANSWER_STEP).unwrap();
        let refused = other.hold(2 * limits::ANSWER_STEP).unwrap_err();
        assert_eq!(refused.kind, ProblemKind::Overloaded);
        drop(one);
        other.hold(2 * limits::ANSWER_STEP).unwrap();
    }
}
