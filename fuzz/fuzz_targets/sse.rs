//! An upstream's stream, in pieces; see `src/sse.rs` for what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| encaje_fuzz::sse::holds(input));
