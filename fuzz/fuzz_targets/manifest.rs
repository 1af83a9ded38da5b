//! `plugin.toml`; see `src/manifest.rs` for what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| encaje_fuzz::manifest::holds(input));
