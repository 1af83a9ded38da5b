//! The readers of a database: a bounded set of connections, each used by one query at a time.
//!
//! Connections are opened when they are first needed. The queries run on the runtime's threads for blocking work.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use encaje_core::value::Value;
use encaje_core::{Problem, ProblemKind};
use tokio::sync::Semaphore;
use tokio::time::timeout_at;

use super::connection::{Guarded, Location};
use super::run::{self, Rows};
use super::watch::{self, Watch};
use super::writer::closed;
use crate::limits;

#[derive(Debug)]
pub(super) struct Pool {
    location: Location,
    idle: Mutex<Vec<Guarded>>,
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Pool {
    /// Opens the first connection, so that what is wrong shows now.
    pub(super) fn open(location: &Location) -> Result<Self, Problem> {
        let first = location.reader()?;
        Ok(Self {
            location: location.clone(),
            idle: Mutex::new(vec![first]),
            places: Arc::new(Semaphore::new(limits::READERS)),
            waiting: AtomicUsize::new(0),
        })
    }

    /// Runs a query on a connection that is free, or becomes so before the deadline.
    pub(super) async fn query(
        self: &Arc<Self>,
        sql: String,
        params: Vec<Value>,
        limit: u32,
        watch: Watch,
    ) -> Result<Rows, Problem> {
        let deadline = watch.deadline();
        let place = {
            let _one = Waiting::enter(&self.waiting)?;
            let acquired = timeout_at(deadline.into(), self.places.clone().acquire_owned()).await;
            acquired.map_err(|_| watch::timeout())?.map_err(|_| closed())?
        };
        let waiting = watch.guard();
        let pool = self.clone();
        let work = tokio::task::spawn_blocking(move || {
            let _place = place;
            pool.with_reader(&watch, |guarded| run::query(guarded, &sql, &params, limit))
        });
        let answer = timeout_at(deadline.into(), work).await;
        drop(waiting);
        answer
            .map_err(|_| watch::timeout())?
            .map_err(|error| Problem::internal(format_args!("a reader's thread failed: {error}")))?
    }

    fn with_reader<T>(&self, watch: &Watch, work: impl FnOnce(&Guarded) -> Result<T, Problem>) -> Result<T, Problem> {
        if let Some(problem) = watch.verdict() {
            return Err(problem);
        }
        let idle = self.lock().pop();
        let guarded = match idle {
            Some(guarded) => guarded,
            None => self.location.reader()?,
        };
        let answer = guarded.slot.run(watch, || work(&guarded));
        if !self.places.is_closed() {
            self.lock().push(guarded);
        }
        answer
    }

    /// Closes what is idle; what still runs is closed when it ends.
    pub(super) fn close(&self) {
        self.places.close();
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Guarded>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A query's place among those that wait.
struct Waiting<'p>(&'p AtomicUsize);

impl<'p> Waiting<'p> {
    fn enter(count: &'p AtomicUsize) -> Result<Self, Problem> {
        let entered = Self(count);
        if count.fetch_add(1, Ordering::Relaxed) >= limits::WAITING_QUERIES {
            let words = "Too many queries wait for the database.";
            return Err(Problem::new(ProblemKind::Overloaded, words).with_code("database_overloaded"));
        }
        Ok(entered)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
