//! The names of the contracts' previous version, as they stand in the runtime, which itself stands on wasmtime.

#[allow(unreachable_pub, reason = "of another crate")]
#[path = "../../host/runtime/src/previous/names.rs"]
mod names;

pub(crate) use names::{VERSION, offers, renamed};
