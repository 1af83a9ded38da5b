//! Guests that reach for what is not theirs: each attempt ends in a typed problem or harmlessly, and the next call is served.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use encaje_capabilities::egress::{Egress, Policy, Resolver, Rule};
use encaje_capabilities::kv::Kv;
use encaje_capabilities::sql::{Databases, SqliteSource};
use encaje_core::trace::PluginKind;
use encaje_core::transcript::Transcript;
use encaje_core::{Call, Problem, ProblemKind};
use encaje_runtime::{PluginLimits, PluginSpec, ProviderPlugin};

use crate::support::{ask, call, chat, provider, spec};
use crate::upstream::{Behaviour, Upstream};

/// What a call may cost here.
const CPU: Duration = Duration::from_secs(1);
const WALL: Duration = Duration::from_secs(5);

/// How much later than its limits a call may end where the machine is busy with other tests.
const SLACK: Duration = Duration::from_secs(20);

fn misbehaves() -> PluginSpec {
    let mut spec = spec("bad", PluginKind::Provider, "tests/fixtures/misbehaves", "{}");
    spec.limits = PluginLimits {
        cpu: CPU,
        wall: WALL,
        ..PluginLimits::default()
    };
    spec
}

/// With a database, a map and a way out of its own.
struct World {
    guest: ProviderPlugin,
    folder: tempfile::TempDir,
}

impl World {
    async fn new(egress: Option<Egress>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = SqliteSource { file: "main.db".into() };
        let databases = Databases::open(folder.path(), [("main".to_owned(), source)]).unwrap();
        let mut spec = misbehaves();
        let main = databases.get("main").unwrap().clone();
        spec.capabilities.sql.insert("main".to_owned(), main);
        spec.capabilities.kv = Some(Kv::open(folder.path()).await.unwrap());
        spec.capabilities.http = egress;
        Self {
            guest: provider(spec).await.unwrap(),
            folder,
        }
    }

    async fn tries(&self, call: &Call, what: &str) -> Result<String, Problem> {
        let began = Instant::now();
        let said = ask(&self.guest, call, chat(what)).await;
        assert!(began.elapsed() < WALL + SLACK, "{what} took {:?}", began.elapsed());
        Ok(Transcript::of(&said?).choices[&0].text.clone())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_the_rules_of_the_sandbox_ends_its_own_call() {
    let world = World::new(None).await;
    let (fault, spent) = (Some("plugin_fault"), Some("plugin_cpu_exhausted"));
    for (way, kind, code, why) in [
        ("amplify", ProblemKind::Internal, fault, "fuel"),
        ("forge-handle", ProblemKind::Internal, fault, "unknown handle index 77"),
        ("use-after-drop", ProblemKind::Internal, fault, "unknown handle index"),
        ("drop-twice", ProblemKind::Internal, fault, "unknown handle index"),
        ("confuse-handles", ProblemKind::Internal, fault, "handle"),
        ("flood-log", ProblemKind::Timeout, spent, ""),
        ("flood-host", ProblemKind::Timeout, spent, ""),
        ("watch-clock", ProblemKind::Timeout, spent, ""),
        ("drain-random", ProblemKind::Internal, fault, ""),
    ] {
        let call = call("a");
        let problem = world.tries(&call, way).await.expect_err(way);
        assert_eq!(
            (&problem.kind, problem.code.as_deref()),
            (&kind, code),
            "{way}: {problem:?}"
        );
        let detail = problem.log_detail.clone().unwrap_or_default();
        assert!(detail.contains(why), "{way} ended for another reason: {detail}");
        assert!(
            !problem.message.contains("wasm"),
            "{way} tells the caller nothing: {}",
            problem.message
        );
        let crossing = call.take_crossings().remove(0);
        assert_eq!(crossing.failure.as_ref(), Some(&problem.kind), "{way}");
        assert_eq!(
            world.tries(&call, "be good").await.unwrap(),
            "nothing stopped it",
            "after {way}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sleep_till_the_end_of_time_ends_with_its_call() {
    let mut spec = misbehaves();
    spec.limits.wall = Duration::from_millis(500);
    let guest = provider(spec).await.unwrap();
    for way in ["sleep-for-ever", "sleep-till-the-end-of-time"] {
        let (call, began) = (call("a"), Instant::now());
        let problem = ask(&guest, &call, chat(way)).await.map(drop).expect_err(way);
        assert_eq!(
            (&problem.kind, problem.code.as_deref()),
            (&ProblemKind::Timeout, None),
            "{way}"
        );
        assert!(began.elapsed() < SLACK, "{way} took {:?}", began.elapsed());
        let crossing = call.take_crossings().remove(0);
        assert!(crossing.cpu < CPU, "{way} was asleep: {crossing:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_reaches_nothing_outside_its_database_and_texts_stay_texts() {
    let world = World::new(None).await;
    // Beside its own database, so that nothing but the host keeps it from being written.
    let other = world.folder.path().join("other.db");
    let at = other.display();
    for (way, code) in [
        (&*format!("sql attach database '{at}' as other"), "sql_denied"),
        (&*format!("sql-write attach database '{at}' as other"), "sql_denied"),
        (&*format!("sql-write vacuum into '{at}'"), "sql"),
        ("sql pragma database_list", "sql_denied"),
        ("sql-write pragma journal_mode = delete", "sql_denied"),
        ("sql-write pragma writable_schema = on", "sql_denied"),
        ("sql select load_extension('/tmp/x.so')", "sql"),
        ("sql select writefile('/tmp/x', 'x')", "sql_error"),
        ("sql select * from pragma_database_list", "sql_denied"),
        ("sql insert into notes values (1)", "sql"),
    ] {
        let said = world.tries(&call("a"), way).await.unwrap();
        let refused = said.starts_with("Denied") || said.starts_with("Internal");
        assert!(refused && said.contains(code), "{way}: {said}");
    }
    assert!(!other.exists(), "no other file came of it");
    for text in [
        "'); drop table notes; --",
        "\" or 1=1 --",
        "x' union select sql from sqlite_master --",
    ] {
        let said = world.tries(&call("a"), &format!("inject {text}")).await.unwrap();
        assert_eq!(said, "kept as it is", "{text}");
    }
    let cartesian = "sql with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n";
    let counting = call("a");
    let ended = world.tries(&counting, cartesian).await;
    assert!(
        ended.as_ref().is_ok_and(|said| said.starts_with("Timeout"))
            || ended
                .as_ref()
                .is_err_and(|problem| problem.kind == ProblemKind::Timeout),
        "{ended:?}"
    );
    let crossing = counting.take_crossings().remove(0);
    let took = Duration::from_micros(crossing.end_us - crossing.start_us);
    assert!(
        crossing.cpu > took / 2,
        "what a statement costs is the plugin's: {crossing:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_leads_to_another_tenants_map() {
    let world = World::new(None).await;
    let tries = async |tenant: &str, what: String| world.tries(&call(tenant), &what).await.unwrap();
    assert_eq!(tries("victim", "kv diary".to_owned()).await, "diary");
    assert_eq!(tries("victim", "kv-read diary".to_owned()).await, "victim");
    let mut own = BTreeSet::new();
    for key in [
        "diary",
        "../victim/diary",
        "victim/diary",
        "victim\0diary",
        "%",
        "_",
        "victim:diary",
    ] {
        assert_eq!(tries("thief", format!("kv-read {key}")).await, "nothing", "{key}");
        own.insert(key.to_owned());
        let seen = tries("thief", format!("kv {key}")).await;
        let seen: BTreeSet<String> = seen.split('|').map(str::to_owned).collect();
        assert_eq!(seen, own, "{key}");
    }
    assert_eq!(tries("victim", "kv-read diary".to_owned()).await, "victim", "as it was");
    assert_eq!(
        tries("victim", "kv diary".to_owned()).await,
        "diary",
        "and nothing else"
    );
}

/// Says a good address first and this machine's own ever after.
struct Rebinding(AtomicUsize);

#[async_trait]
impl Resolver for Rebinding {
    async fn addresses(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
        let asked = self.0.fetch_add(1, Ordering::SeqCst);
        let address = if asked == 0 {
            // Of the documentation's network would be refused as well; this one is public and answers nothing.
            Ipv4Addr::new(192, 88, 98, 1)
        } else {
            Ipv4Addr::LOCALHOST
        };
        Ok(vec![IpAddr::V4(address)])
    }
}

fn rule(host: &str, port: u16) -> Rule {
    Rule {
        host: host.to_owned(),
        port,
        methods: Vec::new(),
        path: None,
        private: false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_name_no_redirect_and_no_second_answer_leads_to_a_private_address() {
    let upstream = Upstream::start().await;
    let port = upstream.address().port();
    let policy = || Policy {
        plugin: "bad".to_owned(),
        rules: vec![rule("rebinds.example", port), rule("127.0.0.1", port)],
        secrets: [].into(),
    };
    let resolver = Arc::new(Rebinding(AtomicUsize::new(0)));
    let egress = Egress::with_resolver(policy(), Arc::clone(&resolver) as Arc<dyn Resolver>).unwrap();
    let world = World::new(Some(egress)).await;
    for _ in 0..3 {
        let said = world
            .tries(&call("a"), &format!("get http://rebinds.example:{port}/v1/models"))
            .await;
        let said = said.unwrap_or_else(|problem| format!("{problem}"));
        assert!(!said.starts_with("answered"), "{said}");
    }
    assert!(resolver.0.load(Ordering::SeqCst) > 1, "it was asked again");
    assert_eq!(upstream.asked().len(), 0, "nothing reached this machine by that name");
    for target in [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/",
        "http://metadata.google.internal/",
    ] {
        let said = world.tries(&call("a"), &format!("get {target}")).await.unwrap();
        assert!(said.starts_with("Denied"), "{target}: {said}");
        upstream.will([Behaviour::Redirect(307, target.to_owned())]);
        let said = world
            .tries(&call("a"), &format!("get http://127.0.0.1:{port}/v1/models"))
            .await
            .unwrap();
        assert!(said.starts_with("Denied"), "redirected to {target}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_computes_before_it_starts_uses_up_its_own_time() {
    let mut slow = spec("bad", PluginKind::Provider, "tests/fixtures/spins-at-start", "{}");
    slow.limits.cpu = CPU;
    let guest = provider(slow).await.unwrap();
    let problem = ask(&guest, &call("victim"), chat("x")).await.unwrap_err();
    assert_eq!(problem.code.as_deref(), Some("plugin_cpu_exhausted"), "{problem:?}");
    assert!(ask(&guest, &call("other"), chat("x")).await.is_ok());
}
