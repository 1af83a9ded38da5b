//! SQLite databases that the operator grants by name: the `sql` capability.
//!
//! A [`Database`] has one writer, a thread of its own that commits waiting batches together; a few readers; and a keeper,
//! a thread that syncs and checkpoints. No transaction spans two calls. What a guest's SQL may do is decided in `guard.rs`,
//! how long and how much in `limits.rs`. It knows no tables: those are the guests'.

mod connection;
mod failure;
mod guard;
mod keeper;
mod pool;
mod quantile;
mod run;
mod scrub;
mod watch;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use encaje_core::storage::Durability;
use encaje_core::value::Value;
use encaje_core::{Problem, ProblemKind};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout_at;

use self::connection::Location;
use self::keeper::Keeper;
use self::pool::Pool;
use self::quantile::Budget;
pub use self::run::{Rows, Statement};
pub use self::watch::Ran;
use self::watch::Watch;
use self::writer::{Job, Pending, closed};
use crate::limits;

/// An SQLite database as the registry declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteSource {
    /// The file; one that is not absolute lies in the data folder. It is made where there is none.
    pub file: PathBuf,
}

/// The databases of one generation of the registry, by name. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct Databases {
    by_name: BTreeMap<String, Database>,
    budget: Budget,
}

impl Databases {
    /// Opens all of them. `directory` is the data folder, which is made where there is none.
    ///
    /// # Errors
    /// `Misconfigured` for a file that cannot be opened, is no SQLite database or a newer one, or is named twice; `Internal`
    /// with code `database_corrupt` for one that is damaged.
    pub fn open(directory: &Path, sources: impl IntoIterator<Item = (String, SqliteSource)>) -> Result<Self, Problem> {
        Self::default().reopen(directory, sources)
    }

    /// The databases of the next generation: those whose name and file stay are shared, others opened. This generation's
    /// stay open until its last handle is dropped.
    ///
    /// # Errors
    /// As [`Databases::open`]; this generation is untouched then.
    pub fn reopen(
        &self,
        directory: &Path,
        sources: impl IntoIterator<Item = (String, SqliteSource)>,
    ) -> Result<Self, Problem> {
        let directory = absolute(directory)?;
        let mut by_name = BTreeMap::<String, Database>::new();
        for (name, source) in sources {
            if by_name.len() >= limits::DATABASES {
                let words = format!(
                    "A server opens {} databases; the registry declares more.",
                    limits::DATABASES
                );
                return Err(Problem::new(ProblemKind::Misconfigured, words));
            }
            let path = directory.join(&source.file);
            if let Some(folder) = path.parent() {
                absolute(folder)?;
            }
            if let Some(other) = by_name.values().find(|other| other.inner.location.path == path) {
                let words = format!("The databases `{}` and `{name}` name the same file.", other.name());
                return Err(Problem::new(ProblemKind::Misconfigured, words));
            }
            let kept = self
                .by_name
                .get(&name)
                .filter(|known| known.inner.location.path == path)
                .cloned();
            let database = match kept {
                Some(database) => database,
                None => {
                    let location = Location {
                        name: name.clone(),
                        path,
                        budget: self.budget.clone(),
                        vfs: None,
                    };
                    Database::start(location)?
                }
            };
            by_name.insert(name, database);
        }
        Ok(Self {
            by_name,
            budget: self.budget.clone(),
        })
    }

    /// The database of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Database> {
        self.by_name.get(name)
    }

    /// Their names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// Finishes what waits, copies the logs and closes the files. Later calls get `Unavailable`.
    pub async fn close(&self) {
        for database in self.by_name.values() {
            database.close().await;
        }
    }
}

/// One database. Cloning shares it; dropping the last handle closes it, which waits for its threads.
#[derive(Debug, Clone)]
pub struct Database {
    inner: Arc<Inner>,
    /// What a single call may take at most, below the limits of the kind of call.
    time: Duration,
    ran: Ran,
}

/// The order of the fields is that of closing: readers, then the channel that ends the writer, then the keeper, whose
/// connection is the last one and therefore copies the log into the database.
#[derive(Debug)]
struct Inner {
    location: Location,
    pool: Arc<Pool>,
    jobs: mpsc::Sender<Job>,
    writer: writer::Thread,
    keeper: Keeper,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.pool.close();
    }
}

impl Database {
    /// A database of the host's own in the data folder.
    pub(crate) fn of_host(name: &str, directory: &Path, file: &str) -> Result<Self, Problem> {
        let path = absolute(directory)?.join(file);
        Self::start(Location {
            name: name.to_owned(),
            path,
            budget: Budget::default(),
            vfs: None,
        })
    }

    fn start(location: Location) -> Result<Self, Problem> {
        let guarded = location.writer()?;
        let keeper = Keeper::start(&location)?;
        let pool = Arc::new(Pool::open(&location)?);
        let (jobs, received) = mpsc::channel(limits::WRITE_QUEUE);
        let writer = writer::start(location.clone(), guarded, keeper.duties(), received)?;
        let inner = Arc::new(Inner {
            location,
            pool,
            jobs,
            writer,
            keeper,
        });
        Ok(Self {
            inner,
            time: Duration::MAX,
            ran: Ran::default(),
        })
    }

    /// Its name in the registry.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.location.name
    }

    /// The same database for calls that must end within `time` each, e.g. what is left of a request.
    #[must_use]
    pub fn within(&self, time: Duration) -> Self {
        Self {
            inner: self.inner.clone(),
            time: self.time.min(time),
            ran: self.ran.clone(),
        }
    }

    /// The same database for calls whose statements' time is counted here.
    #[must_use]
    pub fn counted(self, ran: Ran) -> Self {
        Self { ran, ..self }
    }

    /// Runs one reading statement; at most `limit` rows come back, and no more than [`limits::ROWS`]. Dropping the future
    /// ends the query.
    ///
    /// # Errors
    /// `Denied` for what a guest's SQL may not do, writing among it; `Internal` with SQLite's words for wrong SQL;
    /// `TooLarge` over a cap; `Timeout`; `Overloaded` when too many wait; `Unavailable` when the disk or another process
    /// is in the way.
    pub async fn query(&self, sql: impl Into<String>, params: Vec<Value>, limit: u32) -> Result<Rows, Problem> {
        let sql = sql.into();
        run::check_statement(&sql, &params)?;
        self.inner
            .pool
            .query(sql, params, limit, self.watch(limits::QUERY_TIME))
            .await
    }

    /// Runs all statements in one transaction; the rows that each of them changed, triggers not counted. The `param` of a
    /// problem names the statement: `statements[3]`. Dropping the future rolls back what is not committed yet; after a
    /// `Timeout` the batch may or may not have been committed.
    ///
    /// # Errors
    /// `Conflict` for a key that exists, or when `expected_changes` is not met; `InvalidRequest` for other constraints;
    /// else as [`Database::query`].
    pub async fn transact(&self, statements: Vec<Statement>, durability: Durability) -> Result<Vec<u64>, Problem> {
        run::check_batch(&statements)?;
        let watch = self.watch(limits::WRITE_TIME);
        let deadline = watch.deadline();
        let _waiting = watch.guard();
        let (reply, answer) = oneshot::channel();
        let batch = run::Batch { statements, durability };
        self.send(Job::Batch(Pending { batch, watch, reply }), deadline).await?;
        timeout_at(deadline.into(), answer)
            .await
            .map_err(|_| watch::timeout())?
            .map_err(|_| closed())?
    }

    /// Removes deleted content from every file of the database. Writers wait meanwhile.
    ///
    /// # Errors
    /// `Unavailable` when a reader held the log all the time; `Timeout`.
    pub async fn scrub(&self) -> Result<(), Problem> {
        let watch = self.watch(limits::SCRUB_TIME);
        let deadline = watch.deadline();
        let _waiting = watch.guard();
        let (reply, answer) = oneshot::channel();
        self.send(Job::Scrub(watch, reply), deadline).await?;
        timeout_at(deadline.into(), answer)
            .await
            .map_err(|_| watch::timeout())?
            .map_err(|_| closed())?
    }

    /// Finishes what waits, copies the log and closes the file. Later calls get `Unavailable`.
    pub async fn close(&self) {
        self.inner.pool.close();
        // A writer that has stopped already takes no jobs, which is what is wanted.
        let _stopped = self.inner.jobs.send(Job::Stop).await;
        let inner = self.inner.clone();
        let joined = tokio::task::spawn_blocking(move || {
            inner.writer.join();
            inner.keeper.stop();
        });
        if let Err(error) = joined.await {
            tracing::error!(database = self.name(), %error, "a database was not closed cleanly");
        }
    }

    async fn send(&self, job: Job, deadline: Instant) -> Result<(), Problem> {
        match timeout_at(deadline.into(), self.inner.jobs.send(job)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(closed()),
            Err(_) => {
                let words = "The database has more to write than it can; try again.";
                Err(Problem::new(ProblemKind::Overloaded, words).with_code("database_overloaded"))
            }
        }
    }

    fn watch(&self, limit: Duration) -> Watch {
        Watch::until(Instant::now() + self.time.min(limit), self.ran.clone())
    }
}

/// A folder that exists, by a path that does not depend on the working folder.
fn absolute(directory: &Path) -> Result<PathBuf, Problem> {
    std::fs::create_dir_all(directory)
        .and_then(|()| std::path::absolute(directory))
        .map_err(|error| {
            Problem::new(ProblemKind::Misconfigured, "The data folder cannot be made.")
                .with_detail(format_args!("{}: {error}", directory.display()))
        })
}
