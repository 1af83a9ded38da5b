//! The ledger: one trace a call, committed before the call's last byte (invariant 9).
//!
//! Calls hand their exchange to one writer through a bounded queue and wait for the group commit that takes it. While
//! one group is being written the next one gathers, so that many callers share one transaction.
//!
//! When the storage is down, the operator's choice decides: [`WhenDown::Spool`] serves, appends to the spool and replays
//! later (upserts, so that a replay repeats nothing); [`WhenDown::Refuse`] answers `unavailable`.

mod record;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::call::Call;
use crate::generation::Current;
use crate::limits;
use crate::ports::Spool;
use crate::problem::{Problem, ProblemKind};
use crate::trace::Exchange;
use record::Record;

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
    writer: Mutex<Option<JoinHandle<()>>>,
    down: Arc<AtomicBool>,
    when_down: WhenDown,
}

/// A record on its way to the writer.
struct Entry {
    record: Record,
    done: oneshot::Sender<Result<(), Problem>>,
}

impl Ledger {
    /// Starts the writer. It writes to the storage of the generation that is current when a group begins.
    pub fn start(current: Arc<Current>, spool: Arc<dyn Spool>, when_down: WhenDown) -> Self {
        let (queue, entries) = mpsc::channel(limits::LEDGER_QUEUE);
        let down = Arc::new(AtomicBool::new(false));
        let writer = writer::Writer::new(current, spool, when_down, Arc::clone(&down));
        Self(Arc::new(Inner {
            sender: queue.downgrade(),
            queue: Mutex::new(Some(queue)),
            writer: Mutex::new(Some(tokio::spawn(writer.run(entries)))),
            down,
            when_down,
        }))
    }

    /// Whether a new call may start.
    ///
    /// # Errors
    /// `Unavailable` while the storage is down and the operator chose to refuse.
    pub fn admit(&self) -> Result<(), Problem> {
        if self.0.when_down == WhenDown::Refuse && self.0.down.load(Ordering::Relaxed) {
            return Err(refusal());
        }
        Ok(())
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
        queue.send(Entry { record, done }).await.map_err(|_| closed())?;
        drop(queue);
        committed.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Takes no more records, and returns when all that were taken are written.
    pub async fn close(&self) {
        self.0.queue.lock().await.take();
        let writer = self.0.writer.lock().await.take();
        if let Some(writer) = writer
            && let Err(error) = writer.await
        {
            tracing::error!(%error, "the ledger's writer ended badly");
        }
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
