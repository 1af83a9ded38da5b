//! Every number that bounds a guest, with its reason.

use std::time::Duration;

/// What one plugin may use; the registry may set all but the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PluginLimits {
    /// Bytes of all linear memories and tables of one instance.
    pub memory: usize,
    /// CPU time of one visit.
    pub cpu: Duration,
    /// Wall-clock time of one visit.
    pub wall: Duration,
    /// Instances at once.
    pub instances: usize,
    /// Calls that wait for an instance; one more is `overloaded`.
    pub queue: usize,
    /// Bytes that one call across the boundary may carry in lists and strings. They may overlap in the guest's memory,
    /// so that its size does not bound them.
    pub boundary: usize,
}

impl Default for PluginLimits {
    /// 64 MiB hold any guest of this repository four times over; 2 s of CPU parse and print a long answer hundreds of
    /// times; 120 s is how long a slow model may take
    /// for one; 32 MiB carry any prompt with its pictures.
    fn default() -> Self {
        Self {
            memory: 64 << 20,
            cpu: Duration::from_secs(2),
            wall: Duration::from_secs(120),
            instances: 1_024,
            queue: 1_024,
            boundary: 32 << 20,
        }
    }
}

/// Between two looks at a running guest: short enough that a spinning guest yields its thread unnoticed, long enough to
/// cost nothing.
pub const EPOCH: Duration = Duration::from_millis(1);

/// Component instances in the pool, over all plugins: some thousand streams, and as many in the generation that drains.
pub const POOL_INSTANCES: u32 = 2_560;

/// Of these, what is kept for storages: as many as one has by default.
pub const STORAGE_INSTANCES: u32 = 256;

/// Core instances in the pool: all that the components may be made of. A Rust guest has four, a Python guest 65, and the pool
/// only counts them: what takes room are memories, tables and stacks.
pub const POOL_CORE_INSTANCES: u32 = POOL_INSTANCES * CORE_INSTANCES_PER_COMPONENT;

/// Tables in the pool: a Rust guest has two.
pub const POOL_TABLES: u32 = POOL_INSTANCES * 2;

/// Core instances of one component: a Python guest has 65, with room for larger ones.
pub const CORE_INSTANCES_PER_COMPONENT: u32 = 128;

/// Linear memories of one component; guests of one language have one, composed ones a few.
pub const MEMORIES_PER_COMPONENT: u32 = 8;

/// Tables of one component: one a core instance.
pub const TABLES_PER_COMPONENT: u32 = 128;

/// Elements of one table: the function table of a large interpreter has some 20,000.
pub const TABLE_ELEMENTS: usize = 65_536;

/// Bytes of one element, a pointer: tables count as memory, since a component may have a hundred of them.
pub const TABLE_ELEMENT_BYTES: usize = 8;

/// The largest linear memory that the pool can hold; `memory` of a plugin must not be larger.
pub const POOL_MEMORY: usize = 1 << 30;

/// Bytes of linear memory of all instances of all plugins together: some thousand streams, and a machine that goes on.
pub const ALL_MEMORIES: usize = 4 << 30;

/// Of these, what is kept for storages: without one, no call of any plugin ends well.
pub const STORAGE_MEMORIES: usize = 512 << 20;

/// What the instances of one plugin may take together, so that a greedy one leaves room for the others.
pub const PLUGIN_MEMORIES: usize = 2 << 30;

/// Compiled plugins that are kept, of some megabytes each; a registry has a dozen.
pub const COMPILED: usize = 256;

/// Stack of a guest: wasmtime's default; deep recursion traps at it.
pub const WASM_STACK: usize = 512 << 10;

/// Stack of a fiber: the guest's, and as much again for host functions.
pub const FIBER_STACK: usize = 1 << 20;

/// Resource handles that a guest may hold: streams, pollables, responses; a busy guest holds dozens.
pub const HANDLES: usize = 4_096;

/// Bytes of random numbers that one call may ask for: the largest key anybody has use for, times a thousand.
pub const RANDOM_BYTES: u64 = 64 << 10;

/// Bytes of a guest's message or detail of a problem: a page, with an upstream's own words.
pub const PROBLEM_TEXT: usize = 4 << 10;

/// Bytes of a guest's own word for a class, a code, a parameter or a reason.
pub const WORD: usize = 128;

/// Values that a guest's problem may carry beside its texts.
pub const PROBLEM_EXTRAS: usize = 16;

/// Bytes of one line of a guest's output or log; the rest of it is dropped and marked.
pub const LOG_LINE: usize = 8 << 10;

/// Lines of output and log that one visit may write; one more says so and the rest is dropped.
pub const LOG_LINES: u32 = 256;

/// Fields of one log line.
pub const LOG_FIELDS: usize = 32;

/// A plugin's check has so long: it may ask an upstream for its models.
pub const CHECK: Duration = Duration::from_secs(10);

/// Bytes of one component file: the largest guests, with an interpreter inside, have some 20 MB.
pub const COMPONENT_BYTES: usize = 128 << 20;

/// Bytes of the name of an import: the longest of WASI's has some 50, and what is refused is named in a message.
pub const IMPORT_NAME: usize = 256;

/// What a plugin may say it offers.
pub const OFFERS: usize = 64;

/// Bytes of one such word.
pub const OFFER_BYTES: usize = 64;

/// Chunks that one `next` may return: more than a fast model says in a second.
pub const CHUNKS_PER_NEXT: usize = 4_096;

/// A poll that takes longer was not the guest's own doing, which the epoch ends after a millisecond: the host copied much
/// for it, or the machine was busy.
pub const LONG_POLL: Duration = Duration::from_millis(3);

/// Time of long polls that a plugin may owe before its guests take turns from their first poll on.
pub const LONG_POLL_DEBT: Duration = Duration::from_millis(60);

/// The share of time by which that debt is paid off: what a busy machine alone makes of polls stays below it.
pub const LONG_POLL_SHARE: f64 = 0.05;

/// CPU time of a visit after which it counts as heavy and takes turns with other heavy ones: twenty times what a common
/// visit takes.
pub const HEAVY: Duration = Duration::from_millis(2);

/// Series of one plugin's own metrics together: enough for some labels of some values, little enough to hold in memory.
pub const SERIES: usize = 1_000;

/// Bytes of a label's value: a model's name, a status.
pub const LABEL_BYTES: usize = 128;

/// Idle instances that a warm plugin keeps: as many as run at once on a small machine, some megabytes each.
pub const IDLE_INSTANCES: usize = 16;
