//! Brings back a storage that was down, and what waits in the spool into it, beside the calls that are served meanwhile.

use std::sync::Arc;

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::record;
use super::store::Store;
use crate::limits;
use crate::ports::Spool;
use crate::problem::Problem;
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
            if let Err(problem) = store.write(&batch).await {
                tracing::error!(%problem, "the storage refuses spooled traces");
                write_rows(store, &batch).await?;
            }
            tracing::info!(rows = batch.len(), "spooled traces were written");
            let spool = Arc::clone(spool);
            let forgotten = spawn_blocking(move || spool.forget(position)).await;
            forgotten.map_err(Problem::internal)??;
        }
    }
    Ok(())
}

/// A batch that fails on a storage that works would fail for ever and block what waits behind it: its rows are written one
/// by one, and one that fails alone is dropped.
async fn write_rows(store: &Store, batch: &[Mutation]) -> Result<(), Problem> {
    for row in batch {
        if let Err(problem) = store.write(std::slice::from_ref(row)).await {
            if let Err(down) = store.probe().await {
                store.went_down();
                return Err(down);
            }
            let trace = record::trace_of(row).unwrap_or("-");
            tracing::error!(%problem, trace, "the storage refuses a spooled row for good; it is dropped");
        }
    }
    Ok(())
}
