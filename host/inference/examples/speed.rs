//! Measures a GGUF model without server, queue or sampling: tokens a second of prompt and of answer, by the clock and by
//! the processor time that they took.
//!
//! `RAYON_NUM_THREADS=1 cargo run --release -p encaje-inference --example speed -- MODEL.gguf TEXT.txt`
//! `tests/golden/generate.py --speed` measures llama.cpp in the same way.

use std::path::Path;
use std::time::Instant;

use encaje_inference::{GgufModel, Next, Wanted};

type Failure = Box<dyn std::error::Error>;

const PROMPT: usize = 512;
const STEPS: usize = 128;
const CHUNK: usize = encaje_inference::limits::PREFILL_CHUNK;

/// Processor seconds of all threads so far.
fn processor() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes the struct that it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Tokens a second by the clock and by the processor, of the better of two runs of `work`.
fn measure(tokens: usize, mut work: impl FnMut() -> Result<(), Failure>) -> Result<(f64, f64), Failure> {
    let mut best = (0.0f64, 0.0f64);
    for _ in 0..2 {
        let (clock, used) = (Instant::now(), processor());
        work()?;
        best.0 = best.0.max(tokens as f64 / clock.elapsed().as_secs_f64());
        best.1 = best.1.max(tokens as f64 / (processor() - used));
    }
    Ok(best)
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let (Some(path), Some(text)) = (arguments.next(), arguments.next()) else {
        return Err("give a GGUF file and a text".into());
    };
    let begun = Instant::now();
    let loaded = GgufModel::open(Path::new(&path), None)?;
    println!("loaded in {:.2} s", begun.elapsed().as_secs_f64());
    let model = loaded.model();
    let tokens: Vec<u32> = loaded
        .tokenize(&std::fs::read_to_string(text)?)?
        .into_iter()
        .take(PROMPT)
        .collect();
    let threads = rayon::current_num_threads();
    let (clock, used) = measure(tokens.len(), || {
        let mut cache = model.cache(tokens.len())?;
        for chunk in tokens.chunks(CHUNK) {
            model.prefill(&mut cache, chunk, Wanted::Nothing)?;
        }
        Ok(())
    })?;
    println!(
        "{threads} thread(s), prefill of {}: {clock:.1} tokens/s, {used:.1} a CPU second",
        tokens.len()
    );
    for sequences in [1, 4] {
        let mut caches = Vec::new();
        for _ in 0..sequences {
            let mut cache = model.cache(tokens.len() + 3 * STEPS)?;
            model.prefill(&mut cache, tokens.get(..64).unwrap_or_default(), Wanted::Nothing)?;
            caches.push(cache);
        }
        let (clock, used) = measure(STEPS * sequences, || {
            for token in tokens.iter().take(STEPS) {
                let mut batch: Vec<Next<'_>> = caches.iter_mut().map(|cache| Next { cache, token: *token }).collect();
                model.decode(&mut batch)?;
            }
            Ok(())
        })?;
        println!("{threads} thread(s), decode of {sequences} together: {clock:.1} tokens/s, {used:.1} a CPU second");
    }
    Ok(())
}
