//! What a guest reaches through `http`, `secrets` and `models`, and what it does not; and what a warm instance keeps. The
//! egress has tests of its own; these are from the guest's side.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use encaje_capabilities::egress::{Egress, Hidden, Policy, Rule, Secret};
use encaje_core::ports::Provider;
use encaje_core::trace::PluginKind;
use encaje_core::transcript::Transcript;
use encaje_core::{Call, Problem, ProblemKind};
use encaje_runtime::{ModelScope, PluginLimits, PluginSpec};
use hyper::Method;
use serde_json::{Value, json};

use crate::support::{ServerProcess, ask, call, chat, provider, registry, root, spec};
use crate::upstream::{Behaviour, Upstream};

const CANARY: &str = "sk-canary-5a17f0c2d9b84e36";

pub(crate) fn rule(host: &str, port: u16) -> Rule {
    Rule {
        host: host.to_owned(),
        port,
        methods: Vec::new(),
        path: None,
        private: false,
    }
}

fn key(host: &str) -> Secret {
    Secret {
        host: host.to_owned(),
        header: "authorization".to_owned(),
        template: "Bearer {}".to_owned(),
        reveal: false,
        value: Some(Hidden::new(CANARY.to_owned())),
    }
}

/// The errand runner with these rules and secrets.
pub(crate) fn runner(rules: Vec<Rule>, secrets: Vec<(&str, Secret)>) -> PluginSpec {
    let mut spec = spec("runner", PluginKind::Provider, "tests/fixtures/reaches-out", "{}");
    let policy = Policy {
        plugin: "runner".to_owned(),
        rules,
        secrets: secrets
            .into_iter()
            .map(|(name, secret)| (name.to_owned(), secret))
            .collect::<BTreeMap<_, _>>(),
    };
    spec.capabilities.http = Some(Egress::new(policy).unwrap());
    spec
}

pub(crate) async fn errands(guest: &dyn Provider, call: &Call, lines: &str) -> Result<String, Problem> {
    let said = ask(guest, call, chat(lines)).await?;
    Ok(Transcript::of(&said).choices[&0].text.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_reaches_what_it_was_granted_and_nothing_else() {
    let upstream = Upstream::start().await;
    let port = upstream.address().port();
    let guest = provider(runner(vec![rule("127.0.0.1", port)], Vec::new()))
        .await
        .unwrap();
    let said = async |lines: String| errands(&guest, &call("a"), &lines).await.unwrap();

    let good = said(format!("get {}/models", upstream.base_url())).await;
    assert!(good.starts_with("200 ") && good.contains("\"data\""), "{good}");
    for url in [
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        format!("http://localhost:{port}/v1/models"),
        "http://127.0.0.1:1/".to_owned(),
        "http://[::1]:80/".to_owned(),
        format!("http://2130706433:{}/", port + 1),
        "file:///etc/passwd".to_owned(),
        format!("http://user:word@127.0.0.1:{port}/"),
    ] {
        let refused = said(format!("get {url}")).await;
        assert!(
            refused.starts_with("Denied") || refused.starts_with("InvalidRequest"),
            "{url}: {refused}"
        );
    }
    let denied = said("get https://api.example.com/".to_owned()).await;
    assert!(
        denied.contains("not_granted") && denied.contains("http = [\"api.example.com:443\"]"),
        "the line to add: {denied}"
    );
    upstream.will([Behaviour::Redirect(302, "http://169.254.169.254/latest/".to_owned())]);
    let redirected = said(format!("get {}/models", upstream.base_url())).await;
    assert!(redirected.starts_with("Denied"), "{redirected}");
    assert_eq!(upstream.asked().len(), 2, "nothing else was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_grants_every_door_is_shut_and_names_its_line() {
    let guest = provider(spec("runner", PluginKind::Provider, "tests/fixtures/reaches-out", "{}"))
        .await
        .unwrap();
    let said = errands(
        &guest,
        &call("a"),
        "get http://127.0.0.1:1/\nnames\nreveal KEY\nask other",
    )
    .await
    .unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].contains("http = ["), "{said}");
    assert_eq!(lines[1], "", "no secret is there: {said}");
    assert!(lines[2].contains("secrets = {"), "{said}");
    assert!(lines[3].contains("models = [\"other\"]"), "{said}");
    for line in [lines[0], lines[2], lines[3]] {
        assert!(line.starts_with("Denied not_granted"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_goes_along_and_is_nowhere_in_the_guest() {
    let upstream = Upstream::start().await;
    let port = upstream.address().port();
    let url = format!("{}/models", upstream.base_url());
    let elsewhere = Secret {
        host: "api.example.com".to_owned(),
        ..key("x")
    };
    let unset = Secret {
        value: None,
        ..key("127.0.0.1")
    };
    let secrets = vec![("KEY", key("127.0.0.1")), ("ELSEWHERE", elsewhere), ("UNSET", unset)];
    let guest = provider(runner(vec![rule("127.0.0.1", port)], secrets)).await.unwrap();
    upstream.will([Behaviour::EchoAuthorization, Behaviour::RefuseEchoingAuthorization]);
    let backwards: String = CANARY.chars().rev().collect();
    let script = format!(
        "names\nget {url} KEY\nget {url} KEY\nget {url} ELSEWHERE\nget {url} UNSET\nget {url} NONE\nreveal KEY\n\
         header authorization mine {url}\nseek {backwards}\nremember findable\nseek elbadnif"
    );
    let said = errands(&guest, &call("a"), &script).await.unwrap();
    assert!(!said.contains(CANARY), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "ELSEWHERE,KEY");
    let sent = upstream.asked();
    assert_eq!(sent.len(), 2, "{said}");
    let shown: Vec<_> = sent.iter().map(|asked| asked.header("authorization")).collect();
    let expected = format!("Bearer {CANARY}");
    assert_eq!(shown, [Some(expected.as_str()); 2], "the upstream got it");
    assert!(
        lines[1].contains("***") && lines[2].contains("***"),
        "what comes back is scrubbed: {said}"
    );
    assert!(lines[3].starts_with("Denied secret_host"), "{said}");
    assert!(
        lines[4].starts_with("Misconfigured secret_missing") && lines[4].contains("UNSET"),
        "{said}"
    );
    assert!(lines[5].starts_with("Denied"), "{said}");
    assert!(lines[6].starts_with("Denied"), "it may use it, not see it: {said}");
    assert!(lines[7].starts_with("Denied secret_header"), "{said}");
    assert_eq!(lines[8], "0 times", "its own memory holds none of it");
    assert!(lines[10] != "0 times", "and it does find what is there: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_request_sent_and_got_is_in_its_crossing() {
    let upstream = Upstream::start().await;
    let rules = vec![rule("127.0.0.1", upstream.address().port())];
    let guest = provider(runner(rules, Vec::new())).await.unwrap();
    let call = call("a");
    errands(&guest, &call, &format!("get {}/models", upstream.base_url()))
        .await
        .unwrap();
    let crossing = call.take_crossings().remove(0);
    assert!(crossing.egress_bytes > 200, "{crossing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nested_call_never_waits_for_a_place() {
    let mut spec = runner(Vec::new(), Vec::new());
    spec.limits = PluginLimits {
        instances: 1,
        ..PluginLimits::default()
    };
    spec.capabilities.models = ModelScope::All;
    let guest = Arc::new(provider(spec).await.unwrap());
    let outer = call("a");
    let holds = guest.complete(&outer, chat("names")).await.unwrap();
    let nested = outer.nested().unwrap();
    let refused = guest.complete(&nested, chat("names")).await.err().unwrap();
    assert_eq!(
        (refused.kind, refused.code.as_deref()),
        (ProblemKind::Overloaded, Some("plugin_busy"))
    );
    drop(holds);
    assert!(guest.complete(&nested, chat("names")).await.is_ok());
}

/// A registry whose model `m` is the errand runner, with whatever stands in `allow`.
pub(crate) fn with_runner(allow: &str) -> String {
    let fixture = root().join("tests/fixtures/reaches-out").display().to_string();
    registry("runner")
        + "\n[routes.other]\nto = [{ plugin = \"stub\" }]\n[routes.again]\nto = [{ plugin = \"runner\" }]\n"
        + &format!(
            "\n[plugins.runner]\nkind = \"provider\"\nsource = {{ path = \"{fixture}\" }}\nallow = {{ {allow} }}\n"
        )
}

pub(crate) async fn said(server: &ServerProcess, lines: &str) -> String {
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": lines }] });
    let answer = server
        .ask(Method::POST, "/v1/chat/completions", &body.to_string())
        .await;
    let answer: Value = serde_json::from_str(&answer.body).unwrap();
    match answer["choices"][0]["message"]["content"].as_str() {
        Some(text) => text.to_owned(),
        None => answer.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_from_the_environment_file_is_in_no_log_trace_or_answer() {
    let upstream = Upstream::start().await;
    let (port, url) = (upstream.address().port(), format!("{}/models", upstream.base_url()));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".env"), format!("RUNNER_KEY={CANARY}\n")).unwrap();
    let allow = format!(
        "http = [\"127.0.0.1:{port}\"], models = [\"other\"], secrets = {{ RUNNER_KEY = {{ host = \"127.0.0.1\", \
         header = \"authorization\", value = \"Bearer {{}}\" }} }}"
    );
    let server = ServerProcess::start(folder.path(), &with_runner(&allow), &[]);
    upstream.will([
        Behaviour::EchoAuthorization,
        Behaviour::RefuseEchoingAuthorization,
        Behaviour::Close,
    ]);
    let mut answers = Vec::new();
    for lines in ["names", "reveal RUNNER_KEY", "ask other", "ask m"] {
        answers.push(said(&server, lines).await);
    }
    for _ in 0..3 {
        answers.push(said(&server, &format!("get {url} RUNNER_KEY")).await);
    }
    assert_eq!(answers[0], "RUNNER_KEY");
    assert!(answers[2].split(' ').count() > 2, "the stub's own words: {answers:?}");
    assert!(answers[3].starts_with("Denied"), "{answers:?}");
    assert_eq!(
        upstream.last().header("authorization"),
        Some(format!("Bearer {CANARY}").as_str())
    );
    let traces = server.ask(Method::GET, "/api/v1/traces?limit=100", "").await.body;
    let ids: Value = serde_json::from_str(&traces).unwrap();
    let mut everything = vec![traces, server.log(), server.ask(Method::GET, "/metrics", "").await.body];
    for call in ids["traces"].as_array().unwrap() {
        let id = call["trace_id"].as_str().unwrap();
        everything.push(server.ask(Method::GET, &format!("/api/v1/traces/{id}"), "").await.body);
    }
    everything.extend(answers);
    everything.push(server.ask(Method::GET, "/api/v1/plugins", "").await.body);
    for text in &everything {
        assert!(!text.contains(CANARY), "{text}");
    }
    // What other plugins did on behalf of this one is in the same trace.
    let asked = everything
        .iter()
        .any(|trace| trace.matches("provider.complete").count() == 2);
    assert!(asked, "{everything:#?}");
    server.stop();
    for entry in std::fs::read_dir(folder.path().join("data")).unwrap() {
        let path = entry.unwrap().path();
        if let Ok(bytes) = std::fs::read(&path) {
            let found = bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
            assert!(!found, "{}", path.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_is_taken_back_counts_for_calls_that_start_afterwards() {
    let upstream = Upstream::start().await;
    let (port, url) = (upstream.address().port(), format!("{}/models", upstream.base_url()));
    let folder = tempfile::tempdir().unwrap();
    let rest = "models = [\"other\"], secrets = { KEY = { host = \"127.0.0.1\", header = \"x-key\", value = \"{}\" } }";
    let allow = |port: u16| format!("http = [\"127.0.0.1:{port}\"], {rest}");
    let server = ServerProcess::start(folder.path(), &with_runner(&allow(port)), &[]);
    let ask = async || said(&server, &format!("get {url}")).await;
    assert!(ask().await.starts_with("200 "));
    std::fs::write(server.registry(), with_runner(&allow(port.wrapping_add(1)))).unwrap();
    let mut seen = String::new();
    for _ in 0..2_000 {
        seen = ask().await;
        if seen.starts_with("Denied not_granted") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(seen.starts_with("Denied not_granted"), "{seen}");
    server.stop();
}
