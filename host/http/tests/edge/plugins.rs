//! What can be seen of the plugins: `/metrics` for a scraper, `/api/v1/plugins` for people and the command line.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use encaje_core::generation::{Access, ApiKey, Generation, PluginEntry};
use encaje_core::health::{Health, HealthSnapshot, Observed, Sample};
use encaje_core::supervise::{BreakerSettings, RetrySettings, Supervisor};
use encaje_core::trace::{Crossing, PluginKind};
use encaje_core::{Problem, ProblemKind};
use insta::assert_snapshot;
use sha2::{Digest as _, Sha256};

use crate::fake::{Setting, World};

/// A plugin that was visited three times and counts two things of its own.
struct Seen(Health);

impl Observed for Seen {
    fn name(&self) -> &str {
        "seen"
    }

    fn kind(&self) -> PluginKind {
        PluginKind::Provider
    }

    fn health(&self) -> HealthSnapshot {
        self.0.snapshot()
    }

    fn waiting(&self) -> usize {
        4
    }

    fn instances(&self) -> usize {
        64
    }

    fn samples(&self) -> Vec<Sample> {
        let label = |value: &str| vec![("model".to_owned(), value.to_owned())];
        let sample = |name: &str, labels, histogram, count, sum| Sample {
            name: name.to_owned(),
            labels,
            histogram,
            count,
            sum,
        };
        vec![
            sample("answers", label("a\"b\n"), false, 2, 2.0),
            sample("sizes", Vec::new(), true, 3, 10.5),
        ]
    }
}

fn world() -> World {
    let health = Health::default();
    for (wall_us, failure) in [
        (400, None),
        (40_000, Some(ProblemKind::Timeout)),
        (40_000, Some(ProblemKind::Timeout)),
    ] {
        health.began();
        health.ended(&Crossing {
            span: encaje_core::id::SpanId::new(),
            within: None,
            plugin: "seen".to_owned(),
            kind: PluginKind::Provider,
            function: "complete",
            start_us: 1,
            end_us: 1 + wall_us,
            cpu: Duration::from_micros(100),
            peak_memory: 2 << 20,
            instance_age: Duration::ZERO,
            calls: 1,
            egress_bytes: 10,
            attempt: 1,
            failure,
        });
    }
    health.refused();
    let breaker = BreakerSettings {
        failures: 1,
        ..BreakerSettings::default()
    };
    let supervisor = Supervisor::new(breaker, RetrySettings::once());
    let failed = Problem::new(ProblemKind::Timeout, "late");
    supervisor.admit("seen").unwrap().ended(&failed);
    (0..2).for_each(|_| assert!(supervisor.admit("seen").is_err(), "its breaker is open"));
    let world = Setting::default().start();
    let now = world.server.generation();
    world.server.swap(Generation {
        number: 2,
        providers: now.providers.clone(),
        instruments: Vec::new(),
        storage: Arc::clone(&now.storage),
        plugins: vec![PluginEntry {
            observed: Arc::new(Seen(health)),
            supervisor,
            version: "1.2.3".to_owned(),
            digest: "ab".repeat(32),
            warm: true,
        }],
        routes: now.routes.clone(),
        access: now.access.clone(),
    });
    world
}

#[tokio::test]
async fn a_scraper_reads_every_plugin() {
    let world = world();
    let heard = world.get("/metrics").await;
    assert_eq!(
        heard.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert_snapshot!("metrics", heard.body);
}

#[tokio::test]
async fn plugins_are_listed_with_how_they_fare_and_the_refused_edit() {
    let world = world();
    world
        .server
        .note_refused(Some("registry.toml:3: `knid` is not known".to_owned()));
    let heard = world.get("/api/v1/plugins").await;
    let body: serde_json::Value = serde_json::from_str(&heard.body).unwrap();
    assert_snapshot!("plugins", serde_json::to_string_pretty(&body).unwrap());
    world.server.note_refused(None);
    let heard = world.get("/api/v1/plugins").await;
    assert!(heard.body.contains("\"refused\":null"), "{}", heard.body);
}

#[tokio::test]
async fn a_tenant_learns_that_an_edit_was_refused_and_nothing_of_the_operators_file() {
    let access = Access::Keys(vec![ApiKey {
        name: "ann".to_owned(),
        tenant: "ann-tenant".to_owned(),
        sha256: Sha256::digest("sk-ann").into(),
    }]);
    let world = Setting {
        access,
        ..Setting::default()
    }
    .start();
    let why = "/etc/encaje/registry.toml:3: `knid` is not known\n3 | knid = \"provider\"";
    world.server.note_refused(Some(why.to_owned()));
    let request = Request::get("/api/v1/plugins").header("authorization", "Bearer sk-ann");
    let heard = world.ask(request.body(Body::empty()).unwrap()).await;
    assert_eq!(heard.status, 200, "{}", heard.body);
    for hidden in ["/etc", "registry.toml", "knid"] {
        assert!(!heard.body.contains(hidden), "{}", heard.body);
    }
    let said = heard.json()["refused"].as_str().unwrap().to_owned();
    assert!(
        said.contains("not taken over") && said.contains("encaje plan"),
        "{said}"
    );
}
