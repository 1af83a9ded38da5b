//! The one thread that writes a database, fed by a bounded channel.
//!
//! Batches that wait together are committed together, each behind a savepoint of its own so that it fails alone. It syncs
//! nothing in the background and copies no log; `keeper.rs` does.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use encaje_core::storage::Durability;
use encaje_core::{Problem, ProblemKind};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::connection::{Guarded, Location};
use super::keeper::Duties;
use super::run::{self, Batch};
use super::watch::Watch;
use super::{failure, scrub};
use crate::limits;

/// The rows that each statement changed.
type Outcome = Result<Vec<u64>, Problem>;

/// What the writer is asked to do.
#[derive(Debug)]
pub(super) enum Job {
    /// One transaction.
    Batch(Pending),
    /// Removes deleted content from the files.
    Scrub(Watch, oneshot::Sender<Result<(), Problem>>),
    /// Ends the thread; later jobs are not answered.
    Stop,
}

/// A batch and whoever waits for it.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) batch: Batch,
    pub(super) watch: Watch,
    pub(super) reply: oneshot::Sender<Outcome>,
}

/// Joined when dropped, or earlier.
#[derive(Debug)]
pub(super) struct Thread(Mutex<Option<JoinHandle<()>>>);

impl Thread {
    /// Waits for its end; may be called again.
    pub(super) fn join(&self) {
        join(&self.0);
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.join();
    }
}

/// Waits for a thread once.
pub(super) fn join(thread: &Mutex<Option<JoinHandle<()>>>) {
    let taken = thread.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(thread) = taken
        && thread.join().is_err()
    {
        tracing::error!("a thread of a database panicked");
    }
}

/// Starts the thread on an open connection.
pub(super) fn start(
    location: Location,
    mut guarded: Guarded,
    duties: Arc<Duties>,
    jobs: mpsc::Receiver<Job>,
) -> Result<Thread, Problem> {
    let noted = duties.clone();
    guarded
        .connection
        .wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages: i32| {
            noted.log_has(pages);
            Ok(())
        }))
        .map_err(|error| failure::at_open(&location.name, &location.path, &error))?;
    let writer = Writer {
        guarded,
        location,
        duties,
        jobs,
        synced: Durability::Process,
    };
    let thread = std::thread::Builder::new()
        .name("encaje-db-write".to_owned())
        .spawn(move || writer.run())
        .map_err(|error| Problem::internal(format_args!("cannot start a thread: {error}")))?;
    Ok(Thread(Mutex::new(Some(thread))))
}

struct Writer {
    guarded: Guarded,
    location: Location,
    duties: Arc<Duties>,
    jobs: mpsc::Receiver<Job>,
    /// What the connection's commits are now: synced, or handed to the operating system.
    synced: Durability,
}

impl Writer {
    fn run(mut self) {
        let mut next = None;
        while let Some(job) = next.take().or_else(|| self.jobs.blocking_recv()) {
            match job {
                Job::Stop => break,
                Job::Scrub(watch, reply) => {
                    // Whoever asked may be gone; the scrub is done all the same.
                    let _gone = reply.send(scrub::scrub(&self.location, watch));
                }
                Job::Batch(first) => {
                    let (group, other) = self.gather(first);
                    next = other;
                    self.write(group);
                }
            }
        }
    }

    /// Takes what waits already and wants the same durability, and the first job that is of another kind.
    fn gather(&mut self, first: Pending) -> (Vec<Pending>, Option<Job>) {
        let durability = first.batch.durability;
        let mut statements = first.batch.statements.len();
        let mut group = vec![first];
        while group.len() < limits::GROUP_BATCHES && statements < limits::GROUP_STATEMENTS {
            match self.jobs.try_recv() {
                Ok(Job::Batch(pending)) if pending.batch.durability == durability => {
                    statements += pending.batch.statements.len();
                    group.push(pending);
                }
                Ok(other) => return (group, Some(other)),
                Err(_) => break,
            }
        }
        (group, None)
    }

    fn write(&mut self, group: Vec<Pending>) {
        let mut live = Vec::with_capacity(group.len());
        for pending in group {
            match pending.watch.verdict() {
                Some(problem) => answer(pending, Err(problem)),
                None => live.push(pending),
            }
        }
        let Some(durability) = live.first().map(|pending| pending.batch.durability) else {
            return;
        };
        if let Err(problem) = self.commits_are(durability) {
            for pending in live {
                answer(pending, Err(problem.clone()));
            }
            return;
        }
        self.duties.wait_for_the_log();
        let outcomes = if live.len() > 1 { self.together(&live) } else { None };
        match outcomes {
            Some(outcomes) => {
                self.duties.committed(durability);
                for (pending, outcome) in live.into_iter().zip(outcomes) {
                    answer(pending, outcome);
                }
            }
            None => {
                for pending in live {
                    let outcome = self.alone(&pending);
                    if outcome.is_ok() {
                        self.duties.committed(durability);
                    }
                    answer(pending, outcome);
                }
            }
        }
    }

    /// One batch, one commit.
    fn alone(&self, pending: &Pending) -> Outcome {
        self.host("BEGIN IMMEDIATE")?;
        match self.statements(pending) {
            Ok(counts) => match self.host("COMMIT") {
                Ok(()) => Ok(counts),
                Err(problem) => {
                    self.roll_back();
                    Err(problem)
                }
            },
            Err(problem) => {
                self.roll_back();
                Err(problem)
            }
        }
    }

    /// Many batches, one commit; `None` when nothing was written and each has to be tried alone.
    fn together(&self, group: &[Pending]) -> Option<Vec<Outcome>> {
        self.host("BEGIN IMMEDIATE").ok()?;
        let outcomes = self.behind_savepoints(group);
        if outcomes.is_none() || self.host("COMMIT").is_err() {
            self.roll_back();
            return None;
        }
        outcomes
    }

    fn behind_savepoints(&self, group: &[Pending]) -> Option<Vec<Outcome>> {
        let mut outcomes = Vec::with_capacity(group.len());
        for pending in group {
            self.host("SAVEPOINT batch").ok()?;
            let outcome = self.statements(pending);
            // Some failures (a full disk, an interrupt, a guest's `ON CONFLICT ROLLBACK`) undo the whole transaction.
            if self.guarded.connection.is_autocommit() {
                return None;
            }
            if outcome.is_err() {
                self.host("ROLLBACK TO batch").ok()?;
            }
            self.host("RELEASE batch").ok()?;
            outcomes.push(outcome);
        }
        Some(outcomes)
    }

    fn statements(&self, pending: &Pending) -> Outcome {
        let work = || run::batch(&self.guarded, &pending.batch.statements);
        self.guarded.slot.run(&pending.watch, work)
    }

    /// Sets what the next commits survive; SQLite takes this only between transactions.
    fn commits_are(&mut self, durability: Durability) -> Result<(), Problem> {
        if !self.guarded.connection.is_autocommit() {
            self.roll_back();
        }
        if self.synced != durability {
            self.host(match durability {
                Durability::Process => "PRAGMA synchronous = NORMAL",
                Durability::Disk => "PRAGMA synchronous = FULL",
            })?;
            self.synced = durability;
        }
        Ok(())
    }

    fn roll_back(&self) {
        if !self.guarded.connection.is_autocommit()
            && let Err(problem) = self.host("ROLLBACK")
        {
            tracing::error!(database = self.location.name, %problem, "a transaction could not be rolled back");
        }
    }

    fn host(&self, sql: &str) -> Result<(), Problem> {
        let connection: &Connection = &self.guarded.connection;
        self.guarded
            .mode
            .as_host(|| connection.execute_batch(sql))
            .map_err(|error| failure::problem(&error))
    }
}

/// Answers; a caller that went away has no use for it.
fn answer(pending: Pending, outcome: Outcome) {
    let _gone = pending.reply.send(outcome);
}

/// The answer of a database that was closed.
pub(super) fn closed() -> Problem {
    Problem::new(
        ProblemKind::Unavailable,
        "The database is closed; the server is stopping.",
    )
    .with_code("database_closed")
}
