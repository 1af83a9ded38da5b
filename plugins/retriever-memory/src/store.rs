//! The port to what the plugin stands on: its `kv`, a clock and chance, so that everything else can be tested without a
//! host. No collection is known here.

use encaje_sdk::errors::{Problem, ProblemKind};
use encaje_sdk::host::kv::Entry;

/// The key-value store of one tenant. Meaning and problems are those of `encaje:host/kv`.
pub(crate) trait Store {
    fn get(&self, key: &str) -> Result<Option<Entry>, Problem>;
    fn compare_and_set(&self, key: &str, expected: u64, value: &[u8]) -> Result<u64, Problem>;
    fn remove(&self, key: &str) -> Result<bool, Problem>;
    fn keys(&self, prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<String>, Problem>;
    /// Microseconds of UTC since 1970.
    fn now_us(&self) -> u64;
    /// A number that nobody else draws.
    fn chance(&self) -> u64;
    /// Waits for some of these microseconds.
    fn pause(&self, at_most_us: u64);
}

/// Whether a change failed because another one was faster.
pub(crate) fn was_outrun(problem: &Problem) -> bool {
    matches!(problem.kind, ProblemKind::Conflict)
}
