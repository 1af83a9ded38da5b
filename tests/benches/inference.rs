//! Tokens per second of a native model on the real file: reading a prompt, and going on from it.
//!
//! The arithmetic alone, below the scheduler: no sampling, no text, no plugin, no HTTP. `ENCAJE_TEST_MODELS` names a folder
//! with `smollm2.gguf`; without it the default registry's model is used, and fetched where it is not there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench that fails should say where"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BatchSize, BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use encaje_cli::{artifacts, config};
use encaje_inference::{Cache, GgufModel, Model, Next, Wanted};
use encaje_supply::models::Check;
use encaje_supply::{EncajeHome, TerminalProgress};

/// As the default registry calls it.
const MODEL: &str = "smollm2-135m-instruct";
/// Tokens of the prompts that are read: a question, and a page.
const PROMPTS: [usize; 2] = [32, 512];
/// Tokens of the prompt that the decoded answers follow.
const BEFORE: usize = 128;
/// Tokens of one answer.
const ANSWER: usize = 32;
/// Answers decoded side by side.
const BATCHES: [usize; 2] = [1, 4];

fn model() -> GgufModel {
    let path = match std::env::var_os("ENCAJE_TEST_MODELS") {
        Some(folder) => PathBuf::from(folder).join("smollm2.gguf"),
        None => of_the_registry(),
    };
    GgufModel::open(&path, None).unwrap()
}

fn of_the_registry() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (home, progress) = (
        EncajeHome::from_environment().unwrap(),
        Arc::new(TerminalProgress::new()),
    );
    let registry = config::load_registry(&root.join("registry.toml")).unwrap();
    let names = [MODEL.to_owned()];
    let paths = artifacts::models(&home, root, &registry, &names, Check::Quick, progress);
    let paths = tokio::runtime::Runtime::new().unwrap().block_on(paths).unwrap();
    paths[MODEL].clone()
}

/// So many tokens of plain English.
fn tokens(model: &GgufModel, count: usize) -> Vec<u32> {
    let text = "The harbour wakes before the town does, and the gulls are the first to say so. ".repeat(count / 10 + 1);
    let mut tokens = model.tokenize(&text).unwrap();
    assert!(tokens.len() >= count, "the text is too short");
    tokens.truncate(count);
    tokens
}

fn prefill(criterion: &mut Criterion) {
    let model = model();
    let mut group = criterion.benchmark_group("inference/prefill");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    for count in PROMPTS {
        let prompt = tokens(&model, count);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter_batched(
                || model.model().cache(count).unwrap(),
                |mut cache| model.model().prefill(&mut cache, &prompt, Wanted::Last).unwrap(),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// Greedy, so that each token depends on the one before it, as in an answer.
fn answer(model: &dyn Model, caches: &mut [Cache], first: u32) -> Duration {
    let mut last = vec![first; caches.len()];
    let start = Instant::now();
    for _ in 0..ANSWER {
        let mut batch: Vec<Next<'_>> = caches
            .iter_mut()
            .zip(&last)
            .map(|(cache, token)| Next { cache, token: *token })
            .collect();
        let logits = model.decode(&mut batch).unwrap();
        let best = |row: &[f32]| (0_u32..).zip(row).max_by(|(_, a), (_, b)| a.total_cmp(b)).unwrap().0;
        last = logits.rows().map(best).collect();
    }
    start.elapsed()
}

fn decode(criterion: &mut Criterion) {
    let model = model();
    let prompt = tokens(&model, BEFORE + 1);
    let (first, before) = prompt.split_last().unwrap();
    let mut group = criterion.benchmark_group("inference/decode");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    for batch in BATCHES {
        group.throughput(Throughput::Elements((ANSWER * batch) as u64));
        group.bench_function(BenchmarkId::from_parameter(batch), |bencher| {
            // The prompt is read before the clock starts.
            bencher.iter_custom(|answers| {
                let read = || {
                    let mut cache = model.model().cache(BEFORE + ANSWER).unwrap();
                    model.model().prefill(&mut cache, before, Wanted::Nothing).unwrap();
                    cache
                };
                (0..answers)
                    .map(|_| {
                        let mut caches: Vec<Cache> = (0..batch).map(|_| read()).collect();
                        answer(model.model(), &mut caches, *first)
                    })
                    .sum()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, prefill, decode);
criterion_main!(benches);
