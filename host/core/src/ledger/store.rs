//! The storage as the ledger sees it: up, or down until a probe says otherwise.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::timeout;

use super::record;
use crate::call::Call;
use crate::generation::Current;
use crate::limits;
use crate::problem::{Problem, ProblemKind};
use crate::storage::{Durability, Mutation};
use crate::trace::Crossing;

pub(super) struct Store {
    current: Arc<Current>,
    down: AtomicBool,
}

impl Store {
    pub(super) fn new(current: Arc<Current>) -> Self {
        Self {
            current,
            down: AtomicBool::new(false),
        }
    }

    pub(super) fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// Callers are not made to wait for it any more, until a probe finds it back.
    pub(super) fn went_down(&self) {
        self.down.store(true, Ordering::Relaxed);
    }

    /// One transaction in the storage of the generation that is current now; what it crossed.
    pub(super) async fn write(&self, batch: &[Mutation]) -> Result<Vec<Crossing>, Problem> {
        let generation = self.current.get();
        let call = Call::of_server(limits::LEDGER_WRITE);
        let write = generation.storage.write(&call, batch, Durability::Process);
        let late = || Problem::new(ProblemKind::Timeout, "The storage did not answer in time.");
        timeout(limits::LEDGER_WRITE, write)
            .await
            .unwrap_or_else(|_| Err(late()))?;
        Ok(call.take_crossings())
    }

    /// Asks whether the storage takes a row now.
    pub(super) async fn probe(&self) -> Result<(), Problem> {
        self.write(&[record::probe()]).await?;
        if self.down.swap(false, Ordering::Relaxed) {
            tracing::info!("the storage is back");
        }
        Ok(())
    }
}

/// Whether a batch would fail however often it is tried.
pub(super) fn permanent(problem: &Problem) -> bool {
    matches!(
        problem.kind,
        ProblemKind::InvalidRequest | ProblemKind::TooLarge | ProblemKind::Conflict | ProblemKind::Unsupported
    )
}
