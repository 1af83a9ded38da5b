//! Guests that misbehave, one a fixture: each fails with a typed problem within its limits, and a good plugin is served all
//! the while. Everything runs on one thread, where a guest that did not yield would stop all others.

use std::cell::Cell;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use encaje_core::ports::Provider;
use encaje_core::trace::{Crossing, PluginKind};
use encaje_core::transcript::Transcript;
use encaje_core::{Problem, ProblemKind};
use encaje_runtime::{Plugin, PluginLimits, PluginSpec, ProviderPlugin, limits};
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::support::{ask, call, call_of, chat, provider, runtime, spec, stub};

/// What the guests here may use of a processor.
const CPU: Duration = Duration::from_secs(1);

/// How long they may take.
const WALL: Duration = Duration::from_secs(2);

/// What takes longer was ended by no limit.
const NEVER: Duration = Duration::from_secs(20);

/// How much later than its limit a call may end where the machine is busy with other tests.
const SLACK: Duration = Duration::from_secs(3);

/// How long the guest that floods may: it reaches its cap of lines within a tenth of it on a free machine.
const FLOOD: Duration = Duration::from_secs(4);

/// Answers of the stub beside a guest that spins: dozens where the machine is free, one at most if it did not yield.
const FEW: usize = 3;

/// A fixture with tight limits.
fn hostile(name: &str) -> PluginSpec {
    let mut spec = spec(name, PluginKind::Provider, &format!("tests/fixtures/{name}"), "{}");
    spec.limits = PluginLimits {
        cpu: CPU,
        wall: WALL,
        ..PluginLimits::default()
    };
    spec
}

/// A fixture that comes to its own end, with so much time that no clock is the first to end it on a busy machine.
fn self_ending(name: &str) -> PluginSpec {
    let mut spec = hostile(name);
    spec.limits.cpu = NEVER;
    spec.limits.wall = NEVER;
    spec
}

/// What came of a hostile call, and of the stub beside it.
struct Outcome<T> {
    result: T,
    took: Duration,
    /// Answers of the stub while the hostile call ran.
    served: usize,
    /// The longest time without one, up to the first after the end.
    slowest: Duration,
}

/// Awaits `hostile` and asks a good plugin at the same time, on the same thread, and once more when it has ended.
async fn beside<T>(hostile: impl Future<Output = T>) -> Outcome<T> {
    let stub = stub(json!({})).await;
    let ended = Cell::new(false);
    let bad = async {
        let start = Instant::now();
        let result = tokio::time::timeout(NEVER, hostile).await;
        ended.set(true);
        (result.expect("no limit ended it"), start.elapsed())
    };
    let good = async {
        let (mut served, mut slowest, mut answered) = (0, Duration::ZERO, Instant::now());
        loop {
            let last = ended.get();
            let said = ask(&stub, &call("good"), chat("x")).await.unwrap();
            slowest = slowest.max(answered.elapsed());
            answered = Instant::now();
            assert_eq!(Transcript::of(&said).choices[&0].text, "echo: x");
            if last {
                return (served, slowest);
            }
            served += 1;
            tokio::task::yield_now().await;
        }
    };
    let ((result, took), (served, slowest)) = tokio::join!(bad, good);
    Outcome {
        result,
        took,
        served,
        slowest,
    }
}

impl<T> Outcome<Result<T, Problem>> {
    /// The problem, of this class and code, and within `limit`.
    fn failed(self, kind: &ProblemKind, code: Option<&str>, limit: Duration) -> Problem {
        let Self {
            result,
            took,
            served,
            slowest,
        } = self;
        let problem = result.err().expect("a hostile guest must not succeed");
        eprintln!(
            "{}: after {took:?}; the stub answered {served} times meanwhile, at least every {slowest:?}",
            problem.message
        );
        assert_eq!((&problem.kind, problem.code.as_deref()), (kind, code), "{problem:?}");
        assert!(took < limit + SLACK, "took {took:?}, limit {limit:?}");
        assert!(slowest < SLACK, "the stub waited {slowest:?}");
        problem
    }
}

/// Asks the guest beside the stub.
async fn asked(guest: &ProviderPlugin) -> (Outcome<Result<(), Problem>>, Crossing) {
    let call = call("a");
    let outcome = beside(async { ask(guest, &call, chat("x")).await.map(drop) }).await;
    let mut crossings = call.take_crossings();
    assert_eq!(crossings.len(), 1);
    (outcome, crossings.remove(0))
}

#[tokio::test]
async fn a_crash_ends_no_call_but_its_own_and_tells_the_caller_nothing() {
    let guest = provider(self_ending("traps")).await.unwrap();
    for _ in 0..3 {
        let (outcome, crossing) = asked(&guest).await;
        let problem = outcome.failed(&ProblemKind::Internal, Some("plugin_trapped"), WALL);
        assert_eq!(problem.message, "The plugin `traps` crashed.");
        assert!(problem.log_detail.unwrap().contains("unreachable"));
        assert_eq!(crossing.failure, Some(ProblemKind::Internal));
    }
}

#[tokio::test]
async fn a_check_that_spins_does_not_hold_up_the_server() {
    let mut spec = hostile("spins-in-check");
    spec.limits.wall = WALL * 10;
    // Compiling is not what is measured.
    let plugin = tokio::task::spawn_blocking(move || Plugin::load(&runtime(), spec))
        .await
        .unwrap()
        .unwrap();
    let outcome = beside(ProviderPlugin::start(plugin)).await;
    assert!(outcome.served >= FEW, "the stub answered only {} times", outcome.served);
    outcome.failed(&ProblemKind::Timeout, Some("plugin_cpu_exhausted"), CPU);
}

#[tokio::test]
async fn an_answer_that_spins_does_not_hold_its_thread() {
    let mut spec = hostile("spins-in-next");
    spec.limits.wall = WALL * 10;
    let guest = provider(spec).await.unwrap();
    let call = call("a");
    let mut completion = guest.complete(&call, chat("x")).await.unwrap();
    let outcome = beside(completion.next()).await;
    assert!(outcome.served >= FEW, "the stub answered only {} times", outcome.served);
    outcome.failed(&ProblemKind::Timeout, Some("plugin_cpu_exhausted"), CPU);
    assert!(
        completion.next().await.unwrap().is_none(),
        "after its end it is not asked again"
    );
    drop(completion);
    let crossing = call.take_crossings().remove(0);
    assert!(crossing.cpu >= CPU && crossing.cpu < CPU + SLACK, "{crossing:?}");
    assert_eq!(crossing.failure, Some(ProblemKind::Timeout));
}

#[tokio::test]
async fn several_that_spin_at_once_do_not_starve_the_others() {
    let mut spec = hostile("spins-in-next");
    spec.limits.wall = WALL * 10;
    let guest = provider(spec).await.unwrap();
    let (first, second, third) = (call("a"), call("b"), call("c"));
    let all = async {
        let one = |call| ask(&guest, call, chat("x"));
        let (first, second, third) = tokio::join!(one(&first), one(&second), one(&third));
        [first, second, third]
    };
    let outcome = beside(all).await;
    for result in outcome.result {
        assert_eq!(result.unwrap_err().code.as_deref(), Some("plugin_cpu_exhausted"));
    }
    assert!(outcome.served >= FEW, "the stub answered only {} times", outcome.served);
    assert!(
        outcome.took < CPU * 3 + SLACK && outcome.slowest < SLACK,
        "{:?} {:?}",
        outcome.took,
        outcome.slowest
    );
}

#[tokio::test]
async fn memory_does_not_grow_past_the_cap() {
    let cap = 16 << 20;
    let mut spec = self_ending("allocates");
    spec.limits.memory = cap;
    let guest = provider(spec).await.unwrap();
    let (outcome, crossing) = asked(&guest).await;
    outcome.failed(&ProblemKind::Internal, Some("plugin_memory_exhausted"), WALL);
    assert!(
        (cap as u64 / 2..=cap as u64).contains(&crossing.peak_memory),
        "{crossing:?}"
    );
}

#[tokio::test]
async fn deep_recursion_does_not_reach_the_hosts_stack() {
    let guest = provider(self_ending("recurses")).await.unwrap();
    let (outcome, _) = asked(&guest).await;
    outcome.failed(&ProblemKind::Internal, Some("plugin_stack_overflow"), WALL);
}

#[tokio::test]
async fn an_endless_answer_does_not_outlast_its_call() {
    let mut spec = hostile("never-ends");
    spec.limits.cpu = Duration::from_secs(60);
    let guest = provider(spec).await.unwrap();
    let call = call_of("a", 3 * WALL);
    let mut completion = guest.complete(&call, chat("x")).await.unwrap();
    let mut said = 0;
    // A reader with pauses: the guest itself never makes the host wait, so that its own wall clock stands still.
    let read = async {
        while said < 100_000 {
            match completion.next().await {
                Ok(chunks) => said += chunks.map_or(0, |chunks| chunks.len()),
                Err(problem) => return Err(problem),
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    };
    let outcome = beside(read).await;
    outcome.failed(&ProblemKind::Timeout, None, 3 * WALL);
    assert!(said > 0);
}

#[tokio::test]
async fn an_endless_answer_does_not_use_more_than_its_cpu_time() {
    let mut spec = hostile("never-ends");
    // It is heavy for a moment at a time, so that even this takes seconds beside others.
    spec.limits.cpu = Duration::from_secs(1);
    spec.limits.wall = Duration::from_secs(60);
    let guest = provider(spec).await.unwrap();
    let call = call("a");
    let mut completion = guest.complete(&call, chat("x")).await.unwrap();
    let mut said = 0_u64;
    let read = async {
        loop {
            match completion.next().await {
                Ok(_) => said += 1,
                Err(problem) => return Err::<(), _>(problem),
            }
            if said.is_multiple_of(64) {
                tokio::task::yield_now().await;
            }
        }
    };
    let outcome = beside(read).await;
    assert!(outcome.served >= FEW, "the stub answered only {} times", outcome.served);
    outcome.failed(
        &ProblemKind::Timeout,
        Some("plugin_cpu_exhausted"),
        Duration::from_secs(10),
    );
    assert!(said > 0);
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_leave_an_endless_answer_running() {
    let mut spec = hostile("never-ends");
    // The one place is free again at once, or the second call would wait for it.
    spec.limits = PluginLimits {
        instances: 1,
        queue: 0,
        ..spec.limits
    };
    let guest = provider(spec).await.unwrap();
    for _ in 0..3 {
        let call = call("a");
        let mut completion = guest.complete(&call, chat("x")).await.unwrap();
        for _ in 0..3 {
            assert!(
                completion
                    .next()
                    .await
                    .unwrap()
                    .is_some_and(|chunks| !chunks.is_empty())
            );
        }
        let full = guest
            .complete(&call, chat("x"))
            .await
            .err()
            .expect("one place, and it is taken");
        assert_eq!(full.kind, ProblemKind::Overloaded);
        drop(completion);
        let crossings = call.take_crossings();
        assert_eq!(crossings.len(), 1, "{crossings:?}");
        let ended = (crossings[0].calls, crossings[0].failure.as_ref());
        assert_eq!(ended, (4, Some(&ProblemKind::Cancelled)));
    }
}

#[tokio::test]
async fn what_a_guest_hands_over_is_not_larger_than_the_boundary_allows() {
    let guest = provider(self_ending("huge-string")).await.unwrap();
    let (outcome, crossing) = asked(&guest).await;
    let problem = outcome.failed(&ProblemKind::Internal, Some("plugin_fault"), WALL);
    assert!(problem.log_detail.unwrap().contains("fuel"));
    assert!(crossing.peak_memory < 8 << 20, "it had no gigabyte: {crossing:?}");
}

#[tokio::test]
async fn handles_do_not_pile_up_in_the_host() {
    let guest = provider(self_ending("many-handles")).await.unwrap();
    let (outcome, _) = asked(&guest).await;
    outcome.failed(&ProblemKind::Internal, Some("plugin_fault"), WALL);
}

#[tokio::test]
async fn an_instance_that_never_starts_does_not_outlast_the_wall_clock() {
    let guest = provider(hostile("sleeps-at-start")).await.unwrap();
    assert!(ask(&guest, &call("another"), chat("x")).await.unwrap().is_empty());
    let call = call("victim");
    let outcome = beside(guest.complete(&call, chat("x"))).await;
    outcome.failed(&ProblemKind::Timeout, None, WALL);
    let crossing = call.take_crossings().remove(0);
    assert_eq!(crossing.failure, Some(ProblemKind::Timeout));
    assert!(crossing.cpu < CPU, "{crossing:?}");
}

#[tokio::test]
async fn nothing_that_was_not_granted_is_given() {
    // It does no harm, and works a little on a machine that may be busy.
    let mut asks = hostile("asks-everything");
    asks.limits = PluginLimits::default();
    let guest = provider(asks).await.unwrap();
    let said = ask(&guest, &call("a"), chat("x")).await.unwrap();
    let text = &Transcript::of(&said).choices[&0].text;
    for interface in [
        "kv",
        "sql",
        "vectors",
        "metrics",
        "inference",
        "models",
        "http",
        "secrets",
        "wasi.files",
        "wasi.environment",
    ] {
        assert!(
            text.lines().any(|line| line.starts_with(interface)),
            "{interface} was not asked: {text}"
        );
    }
    let given: Vec<_> = text.lines().filter(|line| !line.ends_with(" denied")).collect();
    assert!(given.is_empty(), "{given:?}");
}

/// One event of the log.
#[derive(Debug, Default)]
struct Line {
    plugin: Option<String>,
    text: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        match field.name() {
            "plugin" => self.plugin = Some(format!("{value:?}").trim_matches('"').to_owned()),
            "message" => self.text = format!("{value:?}"),
            _ => {}
        }
    }
}

/// Keeps the log of this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Line>>>);

impl<S: tracing::Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target().starts_with("encaje") {
            let mut line = Line::default();
            event.record(&mut line);
            self.0.lock().unwrap().push(line);
        }
    }
}

#[tokio::test]
async fn a_flood_of_output_does_not_reach_the_log() {
    let mut spec = hostile("floods");
    // Time enough to reach the cap of lines however busy the machine is.
    spec.limits.cpu = FLOOD;
    spec.limits.wall = FLOOD * 4;
    let guest = provider(spec).await.unwrap();
    let log = Log::default();
    // While there is only one subscriber, what other tests log first on their threads, where it is not set, is never asked
    // for again anywhere.
    let another = tracing::Dispatch::new(tracing_subscriber::registry());
    let captured = tracing::subscriber::set_default(tracing_subscriber::registry().with(log.clone()));
    let (outcome, crossing) = asked(&guest).await;
    // What stands in the streams is written when they are dropped.
    tokio::task::yield_now().await;
    drop((captured, another));
    assert!(crossing.cpu < FLOOD + SLACK, "{crossing:?}");
    // Writing waits for the stream, so that either limit may be the first.
    let code = outcome.result.as_ref().unwrap_err().code.clone();
    outcome.failed(&ProblemKind::Timeout, code.as_deref(), FLOOD * 4);

    let lines = log.0.lock().unwrap();
    let most = limits::LOG_LINES as usize;
    assert_eq!(lines.len(), most);
    assert!(
        lines.iter().all(|line| line.plugin.as_deref() == Some("floods")),
        "{lines:?}"
    );
    assert!(
        lines
            .iter()
            .all(|line| line.text.len() <= limits::LOG_LINE + 64 && !line.text.contains('\n'))
    );
    for kind in [
        "to standard output",
        "to standard error",
        "to the log and on",
        "long long",
    ] {
        assert!(
            lines.iter().any(|line| line.text.starts_with(kind)),
            "no line of `{kind}`"
        );
    }
    let notices = lines.iter().filter(|line| line.text.ends_with("the rest is dropped"));
    assert_eq!(notices.count(), 1);
}
