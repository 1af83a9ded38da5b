//! A component's bytes; see `src/component.rs` for what must hold.
#![no_main]

use encaje_fuzz::component;

libfuzzer_sys::fuzz_target!(|input: &[u8]| component::holds(input));

// The corpus is text; what is mutated is the component that it stands for.
libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, _seed: u32| {
    let mut size = size;
    if let Some(bytes) = data.get(..size).and_then(component::assembled)
        && bytes.len() <= max_size
        && let Some(place) = data.get_mut(..bytes.len())
    {
        place.copy_from_slice(&bytes);
        size = bytes.len();
    }
    libfuzzer_sys::fuzzer_mutate(data, size, max_size)
});
