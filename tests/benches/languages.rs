//! The same evaluator in five languages: the component's size, its compilation, and what a call costs, fresh and warm.
//!
//! Prints a Markdown table for `docs/src/benchmarks.md`. A call is `start`, one `push` of eight samples, `finish`; medians.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench that fails should say where"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use encaje_core::Call;
use encaje_core::evaluation::Sample;
use encaje_core::ports::Evaluator;
use encaje_core::trace::PluginKind;
use encaje_runtime::engine::Allocation;
use encaje_runtime::{Capabilities, EvaluatorPlugin, Plugin, PluginLimits, PluginSpec, Runtime};
use encaje_supply::{EncajeHome, TerminalProgress, guest_target};

/// Where it is in each language.
const EXACT: [(&str, &str); 5] = [
    ("Rust", "plugins/evaluator-exact"),
    ("C", "plugins/examples/exact-c"),
    ("Go", "plugins/examples/exact-go"),
    ("JavaScript", "plugins/examples/exact-javascript"),
    ("Python", "plugins/examples/exact-python"),
];
/// Calls of each sort, after a tenth as many unmeasured.
const CALLS: usize = 200;

fn samples() -> Vec<Sample> {
    let sample = |index: usize| Sample {
        id: index.to_string(),
        output: "The old man and the sea, by the sea.".to_owned(),
        references: vec!["old man and sea".to_owned(), "a hill".to_owned()],
        ..Sample::default()
    };
    (0..8).map(sample).collect()
}

async fn evaluate(evaluator: &EvaluatorPlugin) -> Duration {
    let (call, samples) = (Call::of_server(Duration::from_secs(60)), samples());
    let start = Instant::now();
    let mut run = evaluator.start(&call, "token_f1", "{}").await.unwrap();
    assert_eq!(run.push(samples).await.unwrap().len(), 8);
    assert!(run.finish().await.unwrap().scores[0].value.is_some());
    start.elapsed()
}

async fn median(evaluator: &EvaluatorPlugin) -> Duration {
    for _ in 0..CALLS / 10 {
        evaluate(evaluator).await;
    }
    let mut all = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        all.push(evaluate(evaluator).await);
    }
    all.sort_unstable();
    all[CALLS / 2]
}

fn load(runtime: &Runtime, name: &str, wasm: &[u8], uses: u32) -> Plugin {
    let spec = PluginSpec {
        name: name.to_owned(),
        kind: PluginKind::Evaluator,
        wasm: wasm.to_vec(),
        config: "{}".to_owned(),
        capabilities: Capabilities::default(),
        limits: PluginLimits {
            memory: 256 << 20,
            cpu: Duration::from_secs(20),
            ..PluginLimits::default()
        },
        uses,
    };
    Plugin::load(runtime, spec).unwrap()
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let home = EncajeHome::from_environment().unwrap();
    let settings = guest_target::Settings::from_environment();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    println!("| language | component | compile once | load again | fresh call | warm call |");
    println!("|---|---|---|---|---|---|");
    for (language, folder) in EXACT {
        let built = encaje_supply::build::build_plugin(&home, &root.join(folder), &settings, &TerminalProgress::new());
        let wasm = std::fs::read(built.unwrap().wasm).unwrap();
        let cache = tempfile::tempdir().unwrap();
        let engine = Runtime::new(cache.path().to_owned(), Allocation::PooledIfPossible).unwrap();
        let compiling = Instant::now();
        drop(load(&engine, language, &wasm, 1));
        let compiled = compiling.elapsed();
        let loading = Instant::now();
        let fresh = load(&engine, language, &wasm, 1);
        let again = loading.elapsed();
        let (fresh, warm) = runtime.block_on(async {
            let fresh = EvaluatorPlugin::start(fresh).await.unwrap();
            let warm = EvaluatorPlugin::start(load(&engine, language, &wasm, 1_000_000))
                .await
                .unwrap();
            (median(&fresh).await, median(&warm).await)
        });
        let ms = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3);
        let kb = wasm.len() / 1_000;
        println!(
            "| {language} | {kb} KB | {} | {} | {} | {} |",
            ms(compiled),
            ms(again),
            ms(fresh),
            ms(warm)
        );
    }
}
