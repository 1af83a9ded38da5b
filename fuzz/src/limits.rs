//! The limits of the files that are compiled here from the host, where they look for them.

#[allow(dead_code, unreachable_pub, reason = "the rest bounds other work")]
#[path = "../../host/runtime/src/limits.rs"]
mod runtime;
#[allow(dead_code, unreachable_pub, reason = "the rest bounds other work")]
#[path = "../../host/supply/src/limits.rs"]
mod supply;

pub(crate) use runtime::IMPORT_NAME;
pub(crate) use supply::{COMPONENT_BYTES, COMPONENT_NAME_BYTES, COMPONENT_NAMES, MANIFEST_BYTES};
