//! Plugins in languages other than Rust, through the same builder and the same sandbox: the same evaluator gives the same
//! scores in each of them, and the examples do what they are for.

use encaje_core::evaluation::Sample;
use encaje_core::ports::Evaluator;
use encaje_core::trace::PluginKind;
use encaje_runtime::{EvaluatorPlugin, InstrumentorPlugin, Plugin};
use encaje_supply::build::build_plugin;
use encaje_supply::{TerminalProgress, guest_target};

use crate::support::{call, home, root, runtime, spec};

/// Where the same evaluator is in each language.
const EXACT: [&str; 5] = [
    "plugins/evaluator-exact",
    "plugins/examples/exact-python",
    "plugins/examples/exact-javascript",
    "plugins/examples/exact-go",
    "plugins/examples/exact-c",
];

async fn loaded(folder: &str, kind: PluginKind, config: &str) -> Plugin {
    let path = root().join(folder);
    let built = tokio::task::spawn_blocking(move || {
        build_plugin(
            &home(),
            &path,
            &guest_target::Settings::from_environment(),
            &TerminalProgress::new(),
        )
    });
    let built = built.await.unwrap().unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut spec = spec(folder, kind, "plugins/provider-stub", config);
    spec.wasm = std::fs::read(built.wasm).unwrap();
    tokio::task::spawn_blocking(move || Plugin::load(&runtime(), spec))
        .await
        .unwrap()
        .unwrap_or_else(|problem| panic!("{folder}: {problem}"))
}

async fn evaluator(folder: &str) -> EvaluatorPlugin {
    let plugin = loaded(folder, PluginKind::Evaluator, "{}").await;
    EvaluatorPlugin::start(plugin)
        .await
        .unwrap_or_else(|problem| panic!("{folder}: {problem}"))
}

fn samples() -> Vec<Sample> {
    let texts = [
        ("The sea.", &["a lake", "the sea"][..]),
        ("  An  OLD man;  and the sea ", &["old man and sea", "x"]),
        ("42", &["42", "forty-two"]),
        ("", &["something"]),
        ("nothing to compare", &[]),
        ("¿Qué tal? ¡Bien!", &["qué tal bien"]),
        ("one two two three", &["two one four"]),
        ("🦭 says hi", &["🦭 says hi", "hi"]),
    ];
    let sample = |(index, (output, references)): (usize, &(&str, &[&str]))| Sample {
        id: format!("s{index}"),
        output: (*output).to_owned(),
        references: references.iter().map(|text| (*text).to_owned()).collect(),
        ..Sample::default()
    };
    texts.iter().enumerate().map(sample).collect()
}

/// Everything that an evaluator says of the samples, as text.
async fn said(evaluator: &EvaluatorPlugin) -> String {
    let mut all = Vec::new();
    let mut metrics = evaluator.metrics(&call("a")).await.unwrap();
    metrics.sort_by(|a, b| a.name.cmp(&b.name));
    all.push(format!(
        "{:?}",
        metrics.iter().map(|metric| &metric.name).collect::<Vec<_>>()
    ));
    for (metric, params) in [
        ("exact_match", "{}"),
        ("token_f1", "{}"),
        ("length", r#"{"unit":"words"}"#),
        ("length", r#"{"unit":"characters","min":3,"max":10}"#),
    ] {
        let mut run = evaluator.start(&call("a"), metric, params).await.unwrap();
        for score in run.push(samples()).await.unwrap() {
            let told = match score.outcome {
                Ok(score) => format!("{:?} {:?}", score.value, score.label),
                Err(problem) => format!("{}", problem.kind),
            };
            all.push(format!("{metric} {} {told}", score.id));
        }
        for score in run.finish().await.unwrap().scores {
            all.push(format!(
                "{metric} {} {:?}",
                score.name,
                score.value.map(|value| (value * 1e12).round() / 1e12)
            ));
        }
    }
    all.join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_evaluator_gives_the_same_scores_in_every_language() {
    let mut first: Option<String> = None;
    for folder in EXACT {
        let evaluator = evaluator(folder).await;
        let said = said(&evaluator).await;
        let expected = first.get_or_insert_with(|| said.clone());
        assert_eq!(&said, expected, "{folder}");
        let unknown = evaluator.start(&call("a"), "taste", "{}").await.err().unwrap();
        assert_eq!(unknown.kind, encaje_core::ProblemKind::NotFound, "{folder}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_do_what_they_are_for() {
    let readable = evaluator("plugins/examples/evaluator-readability").await;
    let metric = readable.metrics(&call("a")).await.unwrap().remove(0).name;
    let mut run = readable.start(&call("a"), &metric, "{}").await.unwrap();
    let text = |id: &str, output: &str| Sample {
        id: id.to_owned(),
        output: output.to_owned(),
        ..Sample::default()
    };
    let scores = run
        .push(vec![
            text("easy", "The cat sat on the mat. It was fat."),
            text(
                "hard",
                "Notwithstanding considerable institutional heterogeneity, interoperability remains achievable.",
            ),
        ])
        .await
        .unwrap();
    let value = |index: usize| scores[index].outcome.as_ref().unwrap().value.unwrap();
    assert!(value(0) > value(1), "{scores:?}");

    let far = evaluator("plugins/examples/evaluator-distance").await;
    let metric = far.metrics(&call("a")).await.unwrap().remove(0).name;
    let mut run = far.start(&call("a"), &metric, "{}").await.unwrap();
    let sample = |id: &str, output: &str| Sample {
        references: vec!["kitten".to_owned()],
        ..text(id, output)
    };
    let scores = run
        .push(vec![sample("same", "kitten"), sample("other", "sitting")])
        .await
        .unwrap();
    let value = |index: usize| scores[index].outcome.as_ref().unwrap().value.unwrap();
    assert!((value(0) - value(1)).abs() > 0.1, "{scores:?}");

    let keywords = loaded(
        "plugins/examples/instrumentor-keywords",
        PluginKind::Instrumentor,
        &config_of("plugins/examples/instrumentor-keywords"),
    )
    .await;
    InstrumentorPlugin::start(keywords).await.unwrap();
}

/// The defaults of a manifest's configuration.
fn config_of(folder: &str) -> String {
    let text = std::fs::read_to_string(root().join(folder).join("plugin.toml")).unwrap();
    let manifest: toml::Table = toml::from_str(&text).unwrap();
    let properties = manifest["config"].get("properties").and_then(toml::Value::as_table);
    let defaults = properties.into_iter().flatten().filter_map(|(name, schema)| {
        let value = serde_json::to_value(schema.get("default")?).unwrap();
        Some((name.clone(), value))
    });
    serde_json::Value::Object(defaults.collect()).to_string()
}
