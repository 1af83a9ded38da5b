//! Every number that bounds what an operator or a publisher may write, with its reason. Defaults stand here too.

use std::time::Duration;

/// Bytes of `registry.toml`, a manifest or a lock: a registry of a hundred plugins has some 50 KB.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// Diagnostics of one file: beyond some dozens nobody reads on, and a file that is not a registry at all has thousands.
pub const MAX_DIAGNOSTICS: usize = 64;

/// Characters of a source line that a diagnostic shows: wider than any terminal that people read errors on.
pub const MAX_EXCERPT: usize = 160;

/// Characters of a value that a message quotes.
pub const MAX_QUOTED: usize = 60;

/// Characters of a key that is compared with the known ones: the comparison costs their product.
pub const MAX_COMPARED: usize = 48;

/// Entries of one table with free names (plugins, models, databases, routes, keys): each becomes memory or a pool.
pub const MAX_ENTRIES: usize = 1_024;

/// Values of one list (targets of a route, sources of a model, names of a grant).
pub const MAX_LIST: usize = 64;

/// Files of one model: the largest published checkpoints have some hundred parts.
pub const MAX_MODEL_FILES: usize = 256;

/// Characters of the name of a plugin, database, key or tenant: names become file names and metric labels.
pub const MAX_NAME: usize = 64;

/// Characters of a model's name or a route's pattern: the longest published names have some 90.
pub const MAX_MODEL_NAME: usize = 128;

/// Characters of an HTTP method: the longest registered one has 17.
pub const MAX_METHOD: usize = 32;

/// Characters of a path, an address or a sentence.
pub const MAX_TEXT: usize = 1_024;

/// Metrics that one plugin may declare, and labels that one metric may have: together they bound the time series.
pub const MAX_METRICS: usize = 64;
/// See [`MAX_METRICS`].
pub const MAX_LABELS: usize = 8;

/// Bytes of a `.env` file.
pub const MAX_DOTENV_BYTES: u64 = 64 << 10;

/// The address that a server listens on when nothing else is said: this machine alone.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:8080";

/// A request's body. The default holds a long conversation with some pictures; the maximum is what one request may make
/// the server hold in memory.
pub const DEFAULT_BODY: u64 = 16 << 20;
/// See [`DEFAULT_BODY`].
pub const MAX_BODY: u64 = 256 << 20;

/// A whole call. Ten minutes is what the published clients wait by default; nobody waits longer than a day.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);
/// See [`DEFAULT_TIMEOUT`].
pub const MAX_TIMEOUT: Duration = Duration::from_secs(86_400);

/// What a graceful shutdown gives the calls that run: service managers kill after 90 seconds, some after 30.
pub const DEFAULT_DRAIN: Duration = Duration::from_secs(25);
/// See [`DEFAULT_DRAIN`].
pub const MAX_DRAIN: Duration = Duration::from_secs(3_600);

/// Requests that are worked on at once; more are told to come back.
pub const DEFAULT_IN_FLIGHT: u32 = 1_024;
/// See [`DEFAULT_IN_FLIGHT`].
pub const MAX_IN_FLIGHT: u32 = 65_536;

/// A guest's linear memories together. A Rust guest needs one or two MiB, one in Python 13 at its start; 1 GiB is what
/// the pool of instances has room for.
pub const DEFAULT_MEMORY: u64 = 64 << 20;
/// See [`DEFAULT_MEMORY`].
pub const MIN_MEMORY: u64 = 1 << 20;
/// See [`DEFAULT_MEMORY`].
pub const MAX_MEMORY: u64 = 1 << 30;

/// CPU time of one visit to an instance. A healthy visit takes microseconds to milliseconds.
pub const DEFAULT_CPU: Duration = Duration::from_secs(2);
/// A CPU limit under the ticker's step cannot be kept.
pub const MIN_CPU: Duration = Duration::from_millis(1);
/// See [`DEFAULT_CPU`].
pub const MAX_CPU: Duration = Duration::from_secs(3_600);

/// Wall-clock time of one visit, waits for upstreams and models within it.
pub const DEFAULT_WALL: Duration = Duration::from_secs(120);
/// See [`DEFAULT_WALL`].
pub const MIN_WALL: Duration = Duration::from_millis(1);
/// See [`DEFAULT_WALL`].
pub const MAX_WALL: Duration = Duration::from_secs(86_400);

/// Of the requests that are worked on at once, one provider's instances and queue hold this part at most, unless the
/// operator says otherwise: while its upstream hangs, the other half is there for everybody else.
pub const PROVIDER_SHARE: u32 = 2;

/// Instances of one plugin at a time; the pool reserves address space for all of them. A provider has half of its share of
/// the requests ([`PROVIDER_SHARE`]) where that is less.
pub const DEFAULT_INSTANCES: u32 = 256;
/// See [`DEFAULT_INSTANCES`].
pub const MAX_INSTANCES: u32 = 4_096;

/// Calls that wait for an instance; more are told to come back. The default is as many as a server takes at a time, see
/// [`DEFAULT_IN_FLIGHT`]: whatever waits was let in. Each holds its request in memory. A provider's is what is left of its
/// share of the requests ([`PROVIDER_SHARE`]).
pub const DEFAULT_WAITING: u32 = 1_024;
/// See [`DEFAULT_WAITING`].
pub const MAX_WAITING: u32 = 65_536;

/// Visits after which a `warm` instance is replaced, so that a guest's leak stays small.
pub const DEFAULT_USES: u32 = 10_000;
/// See [`DEFAULT_USES`].
pub const MAX_USES: u32 = 100_000_000;

/// Bytes that one call from a guest may make the host copy: the largest request body and as much again.
pub const DEFAULT_HOSTCALL: u64 = 32 << 20;
/// See [`DEFAULT_HOSTCALL`].
pub const MAX_HOSTCALL: u64 = 512 << 20;

/// Tries of one call all told. One more try mends a lost connection; many of them triple the load of an upstream that is
/// already down.
pub const DEFAULT_ATTEMPTS: u32 = 2;
/// See [`DEFAULT_ATTEMPTS`].
pub const MAX_ATTEMPTS: u32 = 10;

/// The pause before a second try: longer than a hiccup of a network, shorter than what a person notices.
pub const DEFAULT_FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause: beyond it another target of the route answers sooner.
pub const DEFAULT_MOST_PAUSE: Duration = Duration::from_secs(5);
/// Both of them: what upstreams that count by the minute ask for, and some room.
pub const MAX_RETRY_PAUSE: Duration = Duration::from_secs(300);
/// Any pause or window of `retry` and `breaker`: timers have no finer step.
pub const MIN_PAUSE: Duration = Duration::from_millis(1);

/// Failures within [`DEFAULT_WINDOW`] that open a breaker: more than bad luck, fewer than a pile of callers that wait for
/// a time-out. The maximum bounds what is remembered, one moment a failure.
pub const DEFAULT_FAILURES: u32 = 5;
/// See [`DEFAULT_FAILURES`].
pub const MAX_FAILURES: u32 = 1_000;

/// How long a failure counts.
pub const DEFAULT_WINDOW: Duration = Duration::from_secs(30);
/// See [`DEFAULT_WINDOW`]. A failure of the hour before says nothing about now.
pub const MAX_WINDOW: Duration = Duration::from_secs(3_600);

/// How long a breaker stays open: upstreams that restart are back in some seconds.
pub const DEFAULT_BREAK: Duration = Duration::from_secs(10);
/// See [`DEFAULT_BREAK`]. A plugin that should rest longer is better removed.
pub const MAX_BREAK: Duration = Duration::from_secs(3_600);

/// Calls at a time that try a half-open breaker: one is enough to learn, and the others are answered at once.
pub const DEFAULT_PROBES: u32 = 1;
/// See [`DEFAULT_PROBES`].
pub const MAX_PROBES: u32 = 64;

/// Requests that wait for one local model: at a second each, what a person would wait.
pub const DEFAULT_QUEUE: u32 = 64;
/// See [`DEFAULT_QUEUE`].
pub const MAX_QUEUE: u32 = 65_536;

/// Tokens of context that a model may be given: the longest published context, 10 million, and some room.
pub const MAX_CONTEXT: u64 = 16 << 20;
