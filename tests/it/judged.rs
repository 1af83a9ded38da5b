//! The conformance kit over real components, through `encaje plugin test`: the repository's own plugins pass it, each in all
//! that it offers; plugins that are wrong in one way fail the check that is about it.

use std::net::SocketAddr;
use std::path::Path;

use crate::support::process::{Did, command};
use crate::support::{models_dir, root};
use crate::upstream::Upstream;
use crate::upstream::ollama::Ollama;

/// A plugin of the repository, what the kit must be told to judge all that it does, and the beginnings of the checks that
/// may be left out, because it does not do what they are about.
struct Judged {
    plugin: &'static str,
    options: &'static [&'static str],
    skips: &'static [&'static str],
}

const fn judged(plugin: &'static str, options: &'static [&'static str], skips: &'static [&'static str]) -> Judged {
    Judged { plugin, options, skips }
}

const ANY_MODEL: &str = "an unknown model";
const RANKING: [&str; 2] = ["a ranking names", "a ranking has"];

const OWN: [Judged; 14] = [
    judged("plugins/provider-stub", &[], &[ANY_MODEL, RANKING[0], RANKING[1]]),
    judged("plugins/storage-sqlite", &[], &[]),
    judged("plugins/evaluator-exact", &[], &[]),
    judged(
        "plugins/instrumentor-guard",
        &[
            "--word",
            "kraken",
            "--config",
            r#"{"keywords":["kraken"],"action":"redact"}"#,
        ],
        &["spans are exported", "a payload of an unknown format"],
    ),
    judged(
        "plugins/retriever-memory",
        &[
            "--spec",
            r#"{"passage_bytes":600}"#,
            "--other-spec",
            r#"{"passage_bytes":64}"#,
        ],
        &[],
    ),
    judged(
        "plugins/source-text",
        &[
            "--location",
            "text:",
            "--config",
            r#"{"texts":{"a":"The sea.","b":"A hill."}}"#,
        ],
        &[],
    ),
    judged("plugins/examples/exact-python", &[], &[]),
    judged("plugins/examples/exact-javascript", &[], &[]),
    judged("plugins/examples/exact-go", &[], &[]),
    judged("plugins/examples/exact-c", &[], &[]),
    judged(
        "plugins/examples/evaluator-readability",
        &[],
        // It needs the answer alone.
        &["a sample that lacks what is needed"],
    ),
    judged("plugins/examples/evaluator-distance", &[], &[]),
    // Not served to anybody: it shows that the kit judges the contracts' previous version as well.
    judged(
        "tests/fixtures/previous-provider",
        &[],
        &[
            ANY_MODEL,
            "several choices",
            "a stop string",
            "pieces of a tool call",
            "an answer asked for as JSON",
            "probabilities follow",
            "tokens are counted",
            "a length of vectors",
            RANKING[0],
            RANKING[1],
        ],
    ),
    judged(
        "plugins/examples/instrumentor-keywords",
        &["--word", "swordfish"],
        &[
            "calls that ended well",
            "an annotation tells nothing",
            "spans are exported",
            "a payload of an unknown format",
        ],
    ),
];

fn kit(folder: &Path, plugin: &str, options: &[&str]) -> Did {
    let path = root().join(plugin).display().to_string();
    command(folder, &[&["plugin", "test", &path], options].concat(), "")
}

/// The names of the checks that ended like this, by the word at the beginning of their lines.
fn checks<'a>(said: &'a str, word: &str) -> Vec<&'a str> {
    let lines = said
        .lines()
        .filter_map(|line| line.strip_prefix(word)?.strip_prefix(' '));
    lines.map(|line| line.split(": ").next().unwrap()).collect()
}

/// It passes, and leaves out these checks and no other.
fn assert_judged(judged: &Did, plugin: &str, skips: &[&str]) {
    assert!(judged.well, "{plugin}\n{}", judged.said);
    let skipped = checks(&judged.said, "skipped");
    let beyond: Vec<_> = skipped
        .iter()
        .filter(|name| !skips.iter().any(|skip| name.starts_with(skip)))
        .collect();
    assert!(beyond.is_empty(), "{plugin} leaves out {beyond:?}\n{}", judged.said);
    assert_eq!(skipped.len(), skips.len(), "{plugin}\n{}", judged.said);
    assert!(!checks(&judged.said, "ok").is_empty(), "{plugin}\n{}", judged.said);
}

#[test]
fn the_repositorys_own_plugins_pass_the_conformance_kit() {
    let folder = tempfile::tempdir().unwrap();
    for Judged { plugin, options, skips } in OWN {
        let options = [options, &["--cases", "8"]].concat();
        assert_judged(&kit(folder.path(), plugin, &options), plugin, skips);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_providers_with_an_upstream_pass_the_conformance_kit() {
    let folder = tempfile::tempdir().unwrap();
    // Neither wants a key.
    let at = |address: SocketAddr, path: &str| serde_json::json!({ "base_url": format!("http://{address}{path}"), "secret": "" });
    let openai = Upstream::start().await;
    let (host, config) = (openai.address().to_string(), at(openai.address(), "/v1").to_string());
    let options = ["--http", &host, "--config", &config, "--forwards", "--cases", "4"];
    let plugin = "plugins/provider-openai";
    let judged = tokio::task::block_in_place(|| kit(folder.path(), plugin, &options));
    assert_judged(&judged, plugin, &OPENAI_SKIPS);
    // That it was passed on, which the kit cannot see, the upstream can.
    let forwarded = openai
        .asked()
        .iter()
        .any(|asked| asked.json()["x_encaje_testkit"]["a"][0] == 1);
    assert!(forwarded, "the parameter that nobody knows did not come");

    let ollama = Ollama::start().await;
    let (host, config) = (ollama.address().to_string(), at(ollama.address(), "").to_string());
    let options = ["--http", &host, "--config", &config, "--cases", "4"];
    let plugin = "plugins/examples/provider-ollama";
    let judged = tokio::task::block_in_place(|| kit(folder.path(), plugin, &options));
    assert_judged(&judged, plugin, &OLLAMA_SKIPS);
}

const OPENAI_SKIPS: [&str; 3] = [ANY_MODEL, RANKING[0], RANKING[1]];

/// It gives one answer, makes no model call a tool, and knows no probabilities.
const OLLAMA_SKIPS: [&str; 6] = [
    "several choices",
    "pieces of a tool call",
    "probabilities follow",
    "tokens are counted",
    RANKING[0],
    RANKING[1],
];

#[test]
fn the_provider_of_local_models_passes_the_conformance_kit() {
    let folder = tempfile::tempdir().unwrap();
    let models = models_dir();
    let local = |name: &str, file: &str| format!("{name}={}", models.join(file).display());
    let (chat, embed) = (local("chat", "smollm2.gguf"), local("embed", "minilm"));
    let plugin = "plugins/provider-local";
    // A model that reads and says thousands of tokens would take minutes without a release build.
    let few = ["--answer-tokens", "6", "--cases", "1"];
    let judged = kit(
        folder.path(),
        plugin,
        &[&["--local", &chat, "--local", &embed], &few[..]].concat(),
    );
    let skips = [
        "pieces of a tool call",
        "an answer asked for as JSON",
        "a length of vectors",
        RANKING[0],
        RANKING[1],
    ];
    assert_judged(&judged, plugin, &skips);
}

#[test]
fn a_plugin_that_does_not_keep_to_its_contract_fails_the_kit() {
    let folder = tempfile::tempdir().unwrap();
    for fixture in ["never-ends", "traps"] {
        let path = format!("tests/fixtures/{fixture}");
        let judged = kit(folder.path(), &path, &["--model", "any", "--cases", "2"]);
        assert!(!judged.well, "{fixture}: {}", judged.said);
        assert!(!checks(&judged.said, "FAILED").is_empty(), "{fixture}: {}", judged.said);
    }
}

/// What one fault of a wrong plugin must be found by: the fault, and the check that fails for it.
type Faults = &'static [(&'static str, &'static str)];

const USAGE: &str = "usage comes once, after the last text, and adds up";
const ENDS: &str = "each choice ends once, after all else that it says";
const SOURCE_STATE: &str = "an item that has not changed comes without a document";
const STREAMS: &str = "a filtered answer keeps to the contract of streams, its usage and its ends included";
const LISTED: &str = "listed metrics have names of their own, bounds in order and a JSON Schema";

const WRONG: [(&str, Faults); 6] = [
    (
        "provider",
        &[
            ("uncounted", USAGE),
            ("early-usage", USAGE),
            ("unfinished", ENDS),
            (
                "deaf",
                "a parameter that nobody knows is refused by name, or left to the upstream",
            ),
            ("other-name", "several choices are given, or refused by name"),
            ("long", "an answer has at most the tokens asked for"),
            ("same-ids", "listed models have ids, each its own"),
            ("untyped", "an unknown model is refused by class"),
            ("counts-nothing", "tokens are counted, and more text has more"),
        ],
    ),
    (
        "storage",
        &[
            (
                "always-migrates",
                "a migration says what it made, and the second one changes nothing",
            ),
            (
                "unguarded",
                "an update whose guard does not hold undoes the whole batch",
            ),
            (
                "half-batches",
                "an insert of a key that exists is a conflict and undoes the whole batch",
            ),
            ("miscounts", "each mutation tells how many rows it touched"),
            ("one-durability", "both durabilities are accepted"),
            (
                "unfiltered",
                "pages joined are the rows that match, in order, for every comparator",
            ),
            (
                "one-page",
                "a read gives at most as many rows as asked for, and says where the next are",
            ),
        ],
    ),
    (
        "evaluator",
        &[
            ("schema", LISTED),
            ("twice", LISTED),
            ("untyped", "a metric that it does not have is not-found"),
            ("any-params", "parameters that do not fit are an invalid request"),
            (
                "percent",
                "scores are finite, within their bounds, and named after their metric",
            ),
            ("backwards", "each sample has one outcome, in order, with its id"),
            (
                "pushes",
                "the score of all samples does not depend on how they are pushed",
            ),
            (
                "all-or-none",
                "a sample that lacks what is needed has a problem of its own, and the others go on",
            ),
            ("quotes", "an evaluation knows nothing of the ones before it"),
            ("remembers", "an evaluation knows nothing of the ones before it"),
            ("remembers", "two evaluations at once do not mix"),
            (
                "remembers",
                "after a dropped evaluation the next one starts from nothing",
            ),
        ],
    ),
    (
        "instrumentor",
        &[
            ("answers-nothing", "every request gets a decision that is well-formed"),
            ("uncounted", STREAMS),
            ("endless", STREAMS),
            ("one-choice", "choices are filtered each by itself"),
            ("per-chunk", "however an answer is cut, the same text comes out"),
            ("adds-a-word", "an answer of nothing is filtered to nothing"),
            (
                "nameless-score",
                "calls that ended well, failed or were cancelled are annotated in good form",
            ),
            (
                "carries-over",
                "an answer is filtered the same after others, and has nothing of them",
            ),
            ("carries-over", "two answers at once do not leak into each other"),
            (
                "carries-over",
                "after a dropped answer the next one is filtered as if it were the first",
            ),
            ("gossips", "an annotation tells nothing of another call"),
            ("breaks-exports", "spans are exported, or refused by class"),
            (
                "ingests-all",
                "a payload of an unknown format is unsupported, a broken one is refused",
            ),
        ],
    ),
    (
        "retriever",
        &[
            (
                "always-changes",
                "the same document again changes nothing, another content is a change",
            ),
            ("miscounts", "a collection counts what it holds"),
            ("keeps", "what is removed is not found, and nothing else is removed"),
            ("one-collection", "collections do not see each other's documents"),
            (
                "filters-late",
                "the filter is applied before the ranking, for every comparator",
            ),
            (
                "misplaced",
                "a passage is where it says in its document, whatever the script",
            ),
            ("bare", "a hit carries its document's metadata"),
            ("deaf", "wrong searches are refused by class"),
        ],
    ),
    (
        "source",
        &[
            ("relative", "it begins with absolute locations, each once"),
            ("empty", "what it begins with can be fetched"),
            ("state", "what it begins with can be fetched"),
            ("forgetful", SOURCE_STATE),
            (
                "drifting",
                "an item is known by the same name from wherever it is fetched",
            ),
            ("links", "links are absolute"),
            ("untyped", "odd locations are refused by class"),
        ],
    ),
];

#[test]
fn each_fault_of_a_wrong_plugin_of_each_kind_fails_the_check_that_is_about_it() {
    let folder = tempfile::tempdir().unwrap();
    let judge = |kind: &str, fault: &str| {
        let config = serde_json::json!({ "fault": fault }).to_string();
        // The filters of a storage and of a retriever need some cases to be met.
        let options = ["--config", &config, "--cases", "6"];
        let location: &[&str] = if kind == "source" {
            &["--location", "text:"]
        } else {
            &[]
        };
        kit(
            folder.path(),
            &format!("tests/fixtures/wrong-{kind}"),
            &[&options, location].concat(),
        )
    };
    // Each run is a process of its own that mostly waits for one core.
    std::thread::scope(|scope| {
        for (kind, faults) in WRONG {
            let judge = &judge;
            scope.spawn(move || {
                let right = judge(kind, "");
                assert!(right.well, "without a fault, {kind}\n{}", right.said);
                for (fault, check) in faults {
                    let wrong = judge(kind, fault);
                    let failed = checks(&wrong.said, "FAILED");
                    assert!(!wrong.well && failed.contains(check), "{kind} {fault}\n{}", wrong.said);
                }
            });
        }
    });
}

#[test]
fn what_needs_more_memory_than_a_server_gives_fails_the_kit_unless_it_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let heavy = ["--config", r#"{"fault":"heavy"}"#, "--cases", "1"];
    let judged = kit(folder.path(), "tests/fixtures/wrong-evaluator", &heavy);
    assert!(!judged.well, "{}", judged.said);
    assert!(checks(&judged.said, "FAILED").contains(&"each sample has one outcome, in order, with its id"));
    let options = [&heavy[..], &["--memory", "256MiB", "--cpu", "10s"]].concat();
    let judged = kit(folder.path(), "tests/fixtures/wrong-evaluator", &options);
    assert!(judged.well, "{}", judged.said);
}
