//! Every number that bounds the server's life and its commands, with its reason.

use std::time::Duration;

/// A migration may build indexes over all that is there.
pub const MIGRATE: Duration = Duration::from_secs(600);

/// Bytes of one answer that is read whole: a trace with its largest messages.
pub const ANSWER_BYTES: usize = 64 << 20;

/// Reading a page of traces takes milliseconds; a store that does not answer by then is down.
pub const TRACE_READ: Duration = Duration::from_secs(30);

/// Characters of a message that `show` prints.
pub const MESSAGE_CHARS: usize = 2_000;

/// Bytes of one line of the stream; a longer one is no answer of ours.
pub const LINE_BYTES: usize = 1 << 20;

/// Traces on one page of a list: what the server's own page has.
pub const TRACES: u32 = 1_000;

/// Compiling a large plugin for the first time takes some seconds, building one from its source a minute.
pub const APPLY: Duration = Duration::from_secs(300);

/// Bytes that the spool may have: at 2 kB a call, half a million calls.
pub const SPOOL_BYTES: u64 = 1 << 30;

/// Wishes that wait for the reloader; more would say the same.
pub const WISHES: usize = 8;

/// A reload that runs when the server is told to stop has so long to end; one that builds takes minutes.
pub const RELOAD_END: Duration = Duration::from_secs(2);

/// An edit in place is several steps, at least an emptying and a write. It is over when nothing happened for this long.
pub const EDIT_QUIET: Duration = Duration::from_millis(30);

/// A file that never comes to rest is read after this long all the same.
pub const EDIT_PATIENCE: Duration = Duration::from_secs(1);

/// A file system that reports nothing (some network and container mounts) is looked at so often.
pub const WATCH_POLL: Duration = Duration::from_secs(2);

/// Rounds of a `bench` in which the measured server and the baseline take turns, so that both see the same noise.
pub const BENCH_ROUNDS: u64 = 3;

/// A component that can be built can be served: neither crate knows the other's number.
const _: () = assert!(encaje_supply::limits::COMPONENT_BYTES == encaje_runtime::limits::COMPONENT_BYTES as u64);
