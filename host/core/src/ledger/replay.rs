//! Brings back a storage that was down, and what waits in the spool into it, beside the calls that are served meanwhile.

use std::sync::Arc;

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::record;
use super::store::{Store, permanent};
use crate::limits;
use crate::ports::Spool;
use crate::problem::{Problem, ProblemKind};
use crate::storage::Mutation;

/// Works until it is dropped; what it has not replayed by then is in the spool at the next start.
pub(super) async fn run(store: Arc<Store>, spool: Arc<dyn Spool>) {
    loop {
        let outcome = if store.is_down() { store.probe().await } else { Ok(()) };
        match outcome {
            Ok(()) => {
                if let Err(problem) = replay(&store, &spool).await {
                    tracing::warn!(%problem, "spooled traces wait on");
                }
            }
            Err(problem) => tracing::warn!(%problem, "the storage is down"),
        }
        sleep(limits::REPLAY_EVERY).await;
    }
}

/// Writes what waits, oldest first, while the storage takes it.
async fn replay(store: &Store, spool: &Arc<dyn Spool>) -> Result<(), Problem> {
    while !spool.is_empty() && !store.is_down() {
        let batches = {
            let spool = Arc::clone(spool);
            spawn_blocking(move || spool.oldest(limits::REPLAY_BATCH)).await
        };
        for (position, batch) in batches.map_err(Problem::internal)?? {
            match store.write(&batch).await {
                Ok(_) => {}
                Err(problem) if may_pass(&problem) => {
                    store.went_down();
                    return Err(problem);
                }
                Err(problem) => {
                    tracing::error!(%problem, "the storage refuses spooled traces; their rows go one by one");
                    for row in &batch {
                        write_row(store, row).await?;
                    }
                }
            }
            tracing::info!(rows = batch.len(), "spooled traces were written");
            let spool = Arc::clone(spool);
            let forgotten = spawn_blocking(move || spool.forget(position)).await;
            forgotten.map_err(Problem::internal)??;
        }
    }
    Ok(())
}

/// Whether the same rows may be taken later: a lock, a full disk, a stall. They wait.
fn may_pass(problem: &Problem) -> bool {
    !permanent(problem) && problem.kind != ProblemKind::Internal
}

/// A row that fails for ever would block what waits behind it: it is dropped when the storage refuses it for what it is,
/// or crashes over it twice while it takes another row in between.
async fn write_row(store: &Store, row: &Mutation) -> Result<(), Problem> {
    let mut crashes = 0;
    loop {
        let Err(problem) = store.write(std::slice::from_ref(row)).await else {
            return Ok(());
        };
        if may_pass(&problem) {
            store.went_down();
            return Err(problem);
        }
        crashes += u32::from(problem.kind == ProblemKind::Internal);
        if permanent(&problem) || crashes > 1 {
            let trace = record::trace_of(row).unwrap_or("-");
            tracing::error!(%problem, trace, "the storage refuses a spooled row for good; it is dropped");
            return Ok(());
        }
        if let Err(down) = store.probe().await {
            store.went_down();
            return Err(down);
        }
    }
}
