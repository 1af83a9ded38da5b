//! What must hold for every input that comes from outside: one function an input, which panics where it does not hold.
//!
//! The fuzz targets call them with what the fuzzer makes up, `tests/corpus.rs` with the files of `corpus/`. Nothing here
//! is shipped, and no file is written or read.

pub mod component;
mod limits;
pub mod manifest;
mod previous;
pub mod registry;
pub mod sse;
mod told;

/// Where a property is told what it looks at.
pub type Property = fn(&[u8]);

/// The targets by name, which is also the name of the folder in `corpus/`.
pub const TARGETS: [(&str, Property); 4] = [
    ("registry", registry::holds),
    ("manifest", manifest::holds),
    ("component", component::holds),
    ("sse", sse::holds),
];
