//! `registry.toml`; see `src/registry.rs` for what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| encaje_fuzz::registry::holds(input));
