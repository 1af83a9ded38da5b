//! The sandbox's own workings: what is granted works and stays apart, where instances and compiled code come from.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use encaje_capabilities::kv::Kv;
use encaje_core::ProblemKind;
use encaje_core::health::Observed as _;
use encaje_core::ports::Provider;
use encaje_core::trace::PluginKind;
use encaje_core::transcript::Transcript;
use encaje_runtime::engine::Allocation;
use encaje_runtime::{MetricSpec, Plugin, ProviderPlugin, Runtime};

use crate::support::{ask, call, chat, component, provider, spec};

fn line<'a>(text: &'a str, name: &str) -> &'a str {
    let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("`{name}` is not in {text}"))
}

/// The guest that uses its grants, under a name, over a store of keys and values.
async fn user(name: &str, kv: &Kv) -> ProviderPlugin {
    let mut spec = spec(name, PluginKind::Provider, "tests/fixtures/uses-grants", r#"{"a":1}"#);
    spec.capabilities.kv = Some(kv.clone());
    let declared = [
        ("guest_calls", false, vec!["tenant".to_owned()]),
        ("guest_sizes", true, vec![]),
    ];
    for (name, histogram, labels) in declared {
        let metric = MetricSpec { histogram, labels };
        spec.capabilities.metrics.insert(name.to_owned(), metric);
    }
    provider(spec).await.unwrap()
}

async fn said(guest: &ProviderPlugin, tenant: &str) -> String {
    let chunks = ask(guest, &call(tenant), chat("x")).await.unwrap();
    Transcript::of(&chunks).choices[&0].text.clone()
}

#[tokio::test]
async fn what_is_granted_works_and_tenants_do_not_meet() {
    let folder = tempfile::tempdir().unwrap();
    let kv = Kv::open(folder.path()).await.unwrap();
    let (one, two) = (user("one", &kv).await, user("two", &kv).await);
    let first = said(&one, "a").await;
    for (name, value) in [
        ("before", "nothing"),
        ("tenant", "a"),
        ("config", r#"{"a":1}"#),
        ("keys", "key"),
        ("steps", "0"),
        ("stale-refused", "true"),
        ("undeclared-refused", "true"),
        ("mislabelled-refused", "true"),
        ("remaining", "true"),
    ] {
        assert_eq!(line(&first, name), value, "{name}");
    }
    let traced = call("a");
    let chunks = ask(&one, &traced, chat("x")).await.unwrap();
    let told = &Transcript::of(&chunks).choices[&0].text;
    let span = traced.take_crossings().remove(0).span;
    assert_eq!(
        line(told, "traceparent"),
        format!("00-{}-{span}-01", traced.trace()),
        "the span that is recorded"
    );
    let before = async |guest, tenant| line(&said(guest, tenant).await, "before").to_owned();
    assert_eq!(before(&one, "b").await, "nothing", "another tenant's key is another");
    assert_eq!(before(&one, "a").await, "a", "and one's own is kept across instances");
    assert_eq!(before(&two, "a").await, "nothing", "another plugin's key is another");
    let samples = one.plugin().samples().into_iter();
    let counts: Vec<_> = samples
        .map(|sample| (sample.name, sample.labels, sample.count))
        .collect();
    let of = |tenant: &str| vec![("tenant".to_owned(), tenant.to_owned())];
    assert_eq!(
        counts,
        [
            ("guest_calls".to_owned(), of("a"), 3),
            ("guest_calls".to_owned(), of("b"), 1),
            ("guest_sizes".to_owned(), Vec::new(), 4),
        ]
    );
    kv.close().await;
}

async fn answers(runtime: &Runtime) -> bool {
    let config = r#"{"models":["stub"],"context_tokens":1000,"dimensions":8}"#;
    let spec = spec("stub", PluginKind::Provider, "plugins/provider-stub", config);
    let plugin = ProviderPlugin::start(Plugin::load(runtime, spec).unwrap())
        .await
        .unwrap();
    !ask(&plugin as &dyn Provider, &call("a"), chat("x"))
        .await
        .unwrap()
        .is_empty()
}

#[tokio::test]
async fn without_room_for_a_pool_instances_are_made_on_demand() {
    let folder = tempfile::tempdir().unwrap();
    let on_demand = Runtime::new(folder.path().to_owned(), Allocation::OnDemand).unwrap();
    assert!(!on_demand.pooled());
    assert!(answers(&on_demand).await);
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|end| end == "bin"))
        .collect()
}

#[tokio::test]
async fn compiled_code_is_used_again_and_what_is_torn_or_changed_is_compiled_anew() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Runtime::new(folder.path().to_owned(), Allocation::OnDemand).unwrap();
    assert!(answers(&open()).await);
    let [entry] = entries(folder.path()).try_into().unwrap();
    let good = std::fs::read(&entry).unwrap();
    let written = std::fs::metadata(&entry).unwrap();
    assert!(answers(&open()).await);
    let used = std::fs::metadata(&entry).unwrap();
    assert_eq!(used.ino(), written.ino(), "it was used as it is");
    assert!(used.modified().unwrap() > written.modified().unwrap(), "and is not old");

    let (mut changed, torn) = (good.clone(), good[..good.len() / 2].to_vec());
    changed[good.len() / 2] ^= 1;
    for bad in [changed, torn, Vec::new()] {
        std::fs::write(&entry, &bad).unwrap();
        assert!(answers(&open()).await);
        assert_eq!(std::fs::read(&entry).unwrap(), good, "it was compiled anew");
    }
}

#[tokio::test]
async fn native_code_is_no_plugin() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = Runtime::new(folder.path().to_owned(), Allocation::OnDemand).unwrap();
    assert!(answers(&runtime).await);
    let compiled = std::fs::read(&entries(folder.path())[0]).unwrap();
    let mut foreign = spec("x", PluginKind::Provider, "plugins/provider-stub", "{}");
    assert_eq!(foreign.wasm, component("plugins/provider-stub"));
    foreign.wasm = compiled[..compiled.len() - 32].to_vec();
    let refused = Plugin::load(&runtime, foreign).err().expect("it is native code");
    assert_eq!(refused.kind, ProblemKind::Misconfigured);
}
