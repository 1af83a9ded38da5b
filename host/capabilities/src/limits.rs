//! Every number that bounds the capabilities, with its reason.

use std::time::Duration;

/// Databases that one server opens: each costs a thread for its writer, one for its keeper, and their page caches.
pub const DATABASES: usize = 8;

/// Readers of one database: more than the cores of a small machine, so that one slow report does not stop the others;
/// few enough that their page caches stay small.
pub const READERS: usize = 4;

/// Queries that wait for a reader; past it a call gets `overloaded` at once instead of a place in a hopeless queue.
pub const WAITING_QUERIES: usize = 1_024;

/// Batches that wait for the writer. The ledger sends one at a time, so this is for plugins that write on their own.
pub const WRITE_QUEUE: usize = 256;

/// Batches that one commit takes together: a sync of 4 to 8 ms shared by 64 is well below what one of them costs.
pub const GROUP_BATCHES: usize = 64;

/// Statements that one commit takes together: at some 5 µs each, the first batch of a group waits 20 ms at most.
pub const GROUP_STATEMENTS: usize = 4_096;

/// Statements of one batch: a ledger group of 256 traces of 16 rows.
pub const STATEMENTS: usize = 4_096;

/// Parameters of one statement: SQLite's own default.
pub const PARAMETERS: usize = 32_766;

/// Bytes of one SQL text: a multi-row insert with all the parameters above, named by number, has some 220 KB.
pub const SQL_BYTES: usize = 256 << 10;

/// Bytes of all parameters of one batch: four answers of the longest kind that the flow keeps.
pub const BATCH_BYTES: usize = 64 << 20;

/// Bytes of one value or row. Messages are cut at 1 MiB before they come here.
pub const VALUE_BYTES: usize = 16 << 20;

/// Rows of one answer; whoever wants more pages.
pub const ROWS: u32 = 10_000;

/// Bytes of one answer, so that what crosses into a guest fits its memory cap several times.
pub const RESULT_BYTES: usize = 8 << 20;

/// Columns of a table or an answer: several times the widest table of the schema.
pub const COLUMNS: usize = 256;

/// Depth of an expression: any-of-all filters of a few hundred terms; a parser's stack is bounded by it.
pub const EXPRESSION_DEPTH: usize = 500;

/// Terms of a compound `SELECT`; SQLite's own default is 500, with a stack frame each.
pub const COMPOUND_SELECT: usize = 50;

/// Bytes of a `LIKE` or `GLOB` pattern, since matching may take quadratic time in them.
pub const PATTERN_BYTES: usize = 1_000;

/// Triggers that fire one another.
pub const TRIGGER_DEPTH: usize = 16;

/// Prepared statements that each connection keeps: the schema has some 22 tables with four shapes of writing or reading
/// each; a statement takes some 5 to 10 KB.
pub const PREPARED: usize = 128;

/// Page cache of the writer: the inner pages of every index of a database of some gigabytes.
pub const WRITER_CACHE_KIB: i64 = 16 << 10;

/// Page cache of one reader; the operating system caches the same file behind it.
pub const READER_CACHE_KIB: i64 = 4 << 10;

/// Bytes that SQLite may take in this process, page caches, sorting and temporary tables together. A query that wants
/// more fails; nothing is spilt to files that a guest could fill a disk with.
pub const SQLITE_HEAP: i64 = 512 << 20;

/// Bytes that all running `quantile` aggregates may hold: sixteen million values.
pub const QUANTILE_BYTES: usize = 128 << 20;

/// Instructions of SQLite's machine between two looks at the deadline: some 10 to 50 µs.
pub const PROGRESS_STEPS: i32 = 1_000;

/// A query ends by then: what a person waits for a report.
pub const QUERY_TIME: Duration = Duration::from_secs(30);

/// A batch ends by then, its wait for the writer included.
pub const WRITE_TIME: Duration = Duration::from_secs(30);

/// A scrub ends by then: rewriting some ten gigabytes.
pub const SCRUB_TIME: Duration = Duration::from_secs(600);

/// How long a connection waits for a lock that another process holds, e.g. a backup or a second server.
pub const BUSY_WAIT: Duration = Duration::from_secs(5);

/// A `process` write is synced so long after its commit. With the slowest sync measured, 20 ms, and a loaded scheduler it
/// stays well within the 200 ms that are promised.
pub const SYNC_DELAY: Duration = Duration::from_millis(80);

/// After a failed sync the next try comes so soon.
pub const SYNC_RETRY: Duration = Duration::from_millis(100);

/// Pages of 4 KiB in the write-ahead log at which it is copied into the database, 8 MiB.
pub const CHECKPOINT_PAGES: u32 = 2_048;

/// Pages at which the writer is made to wait until the rest of the log has been copied, 16 MiB, and the log begins anew.
/// That costs the writer some syncs, so it should be rare. But a log's frames are not aligned to pages: where the system
/// has dropped a page meanwhile, writing over a part of it waits for the disk to read it, so a log should be small enough
/// to be written anew before it is forgotten.
pub const WAL_PAGES: u32 = 4_096;

/// Pages at which each transaction first waits for a copy, 256 MiB: writes that come faster than the disk takes them a
/// second time, or a reader that holds the log, slow the writer down then.
pub const WAL_FULL_PAGES: u32 = 65_536;

/// How long a blocking checkpoint waits for readers that still need the log: writers wait as long.
pub const CHECKPOINT_WAIT: Duration = Duration::from_millis(100);

/// After a blocking checkpoint that readers did not let through, the next one comes so much later.
pub const CHECKPOINT_PAUSE: Duration = Duration::from_secs(1);

/// Bytes of a key of `kv`.
pub const KEY_BYTES: usize = 1_024;

/// Bytes of a value of `kv`: it is for settings, tokens and cursors; larger things belong to a database.
pub const KV_VALUE_BYTES: usize = 1 << 20;

/// Entries that one plugin keeps, all tenants together.
pub const KV_ENTRIES: i64 = 1_000_000;

/// Bytes of keys and values that one plugin keeps, all tenants together.
pub const KV_BYTES: i64 = 256 << 20;

/// Keys of one answer.
pub const KV_KEYS: u32 = 1_000;

/// Expired entries that one write removes beside its own work.
pub const KV_PURGE: i64 = 64;

/// Bytes of a plugin's or tenant's name in `kv`.
pub const KV_NAME_BYTES: usize = 256;

/// Bytes of one spooled batch: the longest ledger group that fits a storage's own batch cap, as JSON.
pub const SPOOL_RECORD_BYTES: usize = 128 << 20;

/// Forgotten bytes at the front of the spool that are worth rewriting the rest for.
pub const SPOOL_COMPACT: u64 = 16 << 20;

/// Bytes of one download: the largest model that a single machine can hold.
pub const DOWNLOAD_BYTES: u64 = 256 << 30;

/// Bytes of a host's name (RFC 1035).
pub const HOST_NAME: usize = 253;

/// Redirects that one download or request follows: a hub, its content network, and some more.
pub const REDIRECTS: usize = 8;

/// Until a connection stands.
pub const CONNECT_TIME: Duration = Duration::from_secs(15);

/// Between two pieces of a body.
pub const STALL_TIME: Duration = Duration::from_secs(30);

/// A download ends by then.
pub const DOWNLOAD_TIME: Duration = Duration::from_secs(12 * 60 * 60);

/// Tries in a row that bring no byte; one that brings some starts the count anew.
pub const DOWNLOAD_TRIES: u32 = 5;

/// The first pause between two tries; each further one is twice as long.
pub const DOWNLOAD_PAUSE: Duration = Duration::from_millis(500);

/// Bytes of an address that a plugin asks for: what common servers take.
pub const URL_BYTES: usize = 8 << 10;

/// Bytes of a request's body: a conversation with some large images in it.
pub const REQUEST_BYTES: usize = 32 << 20;

/// Headers of a request that a plugin sends; an upstream asks for some ten.
pub const REQUEST_HEADERS: usize = 64;

/// Bytes of a request's headers, names and values: what common servers take.
pub const REQUEST_HEADER_BYTES: usize = 32 << 10;

/// Headers of an answer: several times what an upstream behind a content network sends.
pub const RESPONSE_HEADERS: usize = 128;

/// Bytes of an answer's headers, names and values, since a guest takes them all at once.
pub const RESPONSE_HEADER_BYTES: usize = 64 << 10;

/// Bytes of an answer's body. It is streamed, so this only ends what never ends by itself: 2048 vectors of 3072 numbers as
/// text are some 75 MB.
pub const RESPONSE_BYTES: u64 = 256 << 20;

/// Bytes of one line of an answer, which is held here until its end comes: a message, as everywhere cut at 1 MiB.
pub const LINE_BYTES: usize = 1 << 20;

/// Bytes that one `read` hands over, so that a guest that asks for 4 GiB costs no more than one that asks for this.
pub const READ_BYTES: usize = 1 << 20;

/// Requests of one plugin at a time, the answers being read included: one for each of its instances.
pub const CONCURRENT_REQUESTS: usize = 1_024;

/// Idle connections that one plugin keeps to one host: each is a file handle and some 20 KB.
pub const IDLE_CONNECTIONS: usize = 32;

/// An idle connection is closed after this, before common upstreams and balancers close it: a request that meets a closing
/// connection fails.
pub const IDLE_TIME: Duration = Duration::from_secs(30);

/// Names that one plugin looks up at a time: the system's resolver blocks a thread for each.
pub const LOOKUPS: usize = 8;

/// Addresses of one name that are tried.
pub const ADDRESSES: usize = 16;

/// A connection that ends without answer so soon was ended as it was used; later the other end has begun to work.
pub const HANGUP: Duration = Duration::from_secs(1);

/// Until the head of an answer is there: a long answer that is not streamed comes all at once after minutes.
pub const FIRST_BYTE_TIME: Duration = Duration::from_secs(300);

/// Until the last byte of an answer, where the visit has not ended before.
pub const EXCHANGE_TIME: Duration = Duration::from_secs(900);

/// Bytes of one secret: a signed token with many claims.
pub const SECRET_BYTES: usize = 16 << 10;

/// From so many bytes on, a secret is removed from answers that repeat it. What is shorter is a placeholder such as `none`
/// for an upstream that wants no key; removing that would damage ordinary text.
pub const SCRUBBED_SECRET_BYTES: usize = 8;

/// Between two looks at a lock that another process holds.
pub const LOCK_PAUSE: Duration = Duration::from_millis(100);
