//! Components that no compiler makes: tables without end, answers that are no answers, handles that nobody gave out, loops
//! where the host calls on its own behalf. Each ends its own call with a typed problem, and the next one is served.

use std::time::{Duration, Instant};

use encaje_core::ports::Provider;
use encaje_core::{Problem, ProblemKind};
use encaje_runtime::engine::Allocation;
use encaje_runtime::{Plugin, PluginSpec, ProviderPlugin, Runtime};

use crate::support::assembled::Assembled;
use crate::support::{ask, call, chat, provider, runtime};

/// What a call that spins may cost here.
const CPU: Duration = Duration::from_secs(1);
const WALL: Duration = Duration::from_secs(30);

/// How much later than its limit a call may end where the machine is busy with other tests.
const SLACK: Duration = Duration::from_secs(5);

/// For what no limit but its own CPU time ends.
const SPINS: &str = "(loop $again (br $again)) unreachable";

/// With so much time that no clock is the first to end what comes to its own end, however busy the machine is.
fn limited(assembled: &Assembled) -> PluginSpec {
    let mut spec = assembled.spec();
    spec.limits.cpu = WALL;
    spec.limits.wall = WALL;
    spec
}

/// With so little CPU time that one which spins is soon ended.
fn hurried(assembled: &Assembled) -> PluginSpec {
    let mut spec = limited(assembled);
    spec.limits.cpu = CPU;
    spec
}

/// Asks, and expects a problem of this class and code within the limits.
async fn fails(guest: &ProviderPlugin, what: &str, kind: &ProblemKind, code: &str) -> Problem {
    let (call, began) = (call("a"), Instant::now());
    let problem = ask(guest, &call, chat("x")).await.map(drop).expect_err(what);
    assert_eq!(
        (&problem.kind, problem.code.as_deref()),
        (kind, Some(code)),
        "{what}: {problem:?}"
    );
    assert!(began.elapsed() < WALL + SLACK, "{what} took {:?}", began.elapsed());
    let crossing = call.take_crossings().remove(0);
    assert_eq!(crossing.failure.as_ref(), Some(kind), "{what}");
    problem
}

#[tokio::test]
async fn a_component_without_any_misbehaviour_is_served() {
    let good = provider(limited(&Assembled::default())).await.unwrap();
    assert!(good.models(&call("a")).await.unwrap().is_empty());
    for _ in 0..2 {
        assert!(ask(&good, &call("a"), chat("x")).await.unwrap().is_empty());
    }
}

/// Grows a table a thousand elements at a time until it is refused.
const GROWS: &str = "
    (loop $again
        (br_if $again (i32.ne (i32.const -1) (table.grow $hoard (ref.null func) (i32.const 1000)))))
    unreachable";

/// Many tables of which each stays under its own cap, all of them grown to it.
fn many_tables() -> Assembled {
    const TABLES: usize = 90;
    let tables: Vec<_> = (0..TABLES)
        .map(|index| format!("(table $t{index} 1 funcref)"))
        .collect();
    let grown = (0..TABLES).map(|index| {
        format!(
            "(if (i32.eq (i32.const -1) (table.grow $t{index} (ref.null func) (i32.const 65000))) (then unreachable))"
        )
    });
    let grow = format!("(func $grow {})", grown.collect::<String>());
    Assembled {
        also: tables.join("\n") + &grow,
        complete: "(call $grow) unreachable".to_owned(),
        ..Assembled::default()
    }
}

#[tokio::test]
async fn tables_do_not_grow_past_their_caps_alone_or_together() {
    let one = Assembled {
        also: "(table $hoard 1 funcref)".to_owned(),
        complete: GROWS.to_owned(),
        ..Assembled::default()
    };
    for (what, bomb) in [("one table", one), ("many tables", many_tables())] {
        let mut spec = limited(&bomb);
        spec.limits.memory = 16 << 20;
        let folder = tempfile::tempdir().unwrap();
        let on_demand = Runtime::new(folder.path().to_owned(), Allocation::OnDemand).unwrap();
        for runtime in [runtime(), on_demand] {
            let loaded = match Plugin::load(&runtime, spec.clone()) {
                Ok(loaded) => loaded,
                // The pool has a place for one table of a module.
                Err(problem) => {
                    assert!(runtime.pooled() && what == "many tables", "{what}: {problem:?}");
                    assert_eq!(problem.kind, ProblemKind::Misconfigured, "{what}: {problem:?}");
                    continue;
                }
            };
            let guest = ProviderPlugin::start(loaded).await.unwrap();
            for _ in 0..2 {
                fails(&guest, what, &ProblemKind::Internal, "plugin_memory_exhausted").await;
            }
        }
    }
}

#[tokio::test]
async fn what_is_too_large_from_its_start_is_not_started() {
    for (what, also) in [
        ("a table", "(table 100000000 funcref)".to_owned()),
        ("many tables", "(table 60000 funcref)".repeat(90)),
        ("a memory", "(memory 65536)".to_owned()),
    ] {
        let bad = Assembled {
            also,
            ..Assembled::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let on_demand = Runtime::new(folder.path().to_owned(), Allocation::OnDemand).unwrap();
        for runtime in [runtime(), on_demand] {
            let mut spec = limited(&bad);
            spec.limits.memory = 16 << 20;
            let started = async || ProviderPlugin::start(Plugin::load(&runtime, spec.clone())?).await;
            let problem = started().await.map(drop).expect_err(what);
            assert!(
                matches!(problem.kind, ProblemKind::Misconfigured | ProblemKind::Internal),
                "{what}: {problem:?}"
            );
        }
    }
}

/// Says a problem whose message has this address and this length.
fn says(address: u32, length: u32) -> String {
    format!(
        "(i32.store8 (i32.const 512) (i32.const 1))
         (i32.store (i32.const 532) (i32.const {address}))
         (i32.store (i32.const 536) (i32.const {length}))
         (i32.const 512)"
    )
}

#[tokio::test]
async fn a_message_that_is_there_is_the_callers() {
    let honest = Assembled {
        also: "(data (i32.const 1024) \"what it says\")".to_owned(),
        complete: says(1_024, 12),
        ..Assembled::default()
    };
    let guest = provider(limited(&honest)).await.unwrap();
    let problem = ask(&guest, &call("a"), chat("x")).await.unwrap_err();
    assert_eq!(problem.message, "what it says");
}

/// Says that the answer is this handle.
fn answers(handle: &str) -> String {
    format!("(i32.store (i32.const 520) {handle}) (i32.const 512)")
}

#[tokio::test]
async fn an_answer_that_is_none_ends_its_call() {
    let last = "(i32.load (i32.const 520))";
    for (what, complete) in [
        ("a handle that was never given out", answers("(i32.const 77)")),
        ("a handle of nothing", answers("(i32.const 0)")),
        (
            "a handle that was given back",
            format!(
                "{} (drop) (call $drop {last}) (i32.const 512)",
                answers("(call $new (i32.const 1))")
            ),
        ),
        (
            "a handle that is given back twice",
            format!(
                "{} (drop) (call $drop {last}) (call $drop {last}) (i32.const 512)",
                answers("(call $new (i32.const 1))")
            ),
        ),
        (
            "a case that there is not",
            "(i32.store8 (i32.const 512) (i32.const 7)) (i32.const 512)".to_owned(),
        ),
        ("an answer beside the memory", "(i32.const -8)".to_owned()),
        ("an answer at an odd place", "(i32.const 513)".to_owned()),
        ("a text longer than the memory", says(0, 0x0fff_ffff)),
        ("a text beside the memory", says(0x7fff_fff0, 1)),
        ("a text that wraps around", says(u32::MAX, u32::MAX)),
        ("a text that is none", says(1_024, 4)),
    ] {
        let bad = Assembled {
            also: r#"(data (i32.const 1024) "\ff\ff\ff\ff")"#.to_owned(),
            complete,
            ..Assembled::default()
        };
        let guest = provider(limited(&bad)).await.unwrap();
        let problem = ask(&guest, &call("a"), chat("x")).await.map(drop).expect_err(what);
        assert_eq!(problem.kind, ProblemKind::Internal, "{what}: {problem:?}");
        assert!(
            !problem.message.contains("wasm"),
            "{what} tells the caller nothing: {problem:?}"
        );
    }
}

/// Says so many chunks that stand at this address.
fn chunks(address: u32, length: u32) -> String {
    format!(
        "(i32.store8 (i32.const 520) (i32.const 1))
         (i32.store (i32.const 524) (i32.const {address}))
         (i32.store (i32.const 528) (i32.const {length}))
         (i32.const 512)"
    )
}

#[tokio::test]
async fn a_list_is_not_longer_than_what_it_is_made_of() {
    for (what, next) in [
        ("more bytes than there are addresses", chunks(1_024, u32::MAX)),
        ("more than the memory", chunks(1_024, 1 << 20)),
        ("an odd place", chunks(1_025, 1)),
        ("as many as the boundary carries, of nothing", chunks(1_024, 20_000)),
    ] {
        let bad = Assembled {
            next,
            ..Assembled::default()
        };
        let guest = provider(limited(&bad)).await.unwrap();
        let problem = ask(&guest, &call("a"), chat("x")).await.map(drop).expect_err(what);
        assert_eq!(problem.kind, ProblemKind::Internal, "{what}: {problem:?}");
    }
}

#[tokio::test]
async fn a_loop_where_the_host_calls_on_its_own_behalf_ends() {
    let exhausted = "plugin_cpu_exhausted";
    let makes_room = Assembled {
        realloc: SPINS.to_owned(),
        ..Assembled::default()
    };
    let guest = provider(hurried(&makes_room)).await.unwrap();
    fails(&guest, "while it makes room", &ProblemKind::Timeout, exhausted).await;

    let cleans_up = Assembled {
        after_models: SPINS.to_owned(),
        ..Assembled::default()
    };
    let guest = provider(hurried(&cleans_up)).await.unwrap();
    let problem = guest.models(&call("a")).await.unwrap_err();
    assert_eq!(problem.code.as_deref(), Some(exhausted), "{problem:?}");
    assert!(ask(&guest, &call("a"), chat("x")).await.is_ok());

    // A warm instance's answer is dropped in the guest, a fresh one's goes with its instance.
    let is_dropped = Assembled {
        on_drop: SPINS.to_owned(),
        ..Assembled::default()
    };
    for uses in [1, 100] {
        let mut spec = hurried(&is_dropped);
        spec.uses = uses;
        spec.limits.instances = 1;
        let guest = provider(spec).await.unwrap();
        for _ in 0..2 {
            let began = Instant::now();
            let call = call("a");
            let said = ask(&guest, &call, chat("x")).await;
            assert!(
                said.is_ok_and(|chunks| chunks.is_empty()),
                "it had said all it had to say"
            );
            let crossing = call.take_crossings().remove(0);
            assert!(
                crossing.cpu >= CPU && crossing.cpu < CPU + SLACK,
                "it was let go on: {crossing:?}"
            );
            assert!(began.elapsed() < WALL + SLACK);
        }
    }
}

#[tokio::test]
async fn a_start_that_spins_is_not_waited_for() {
    let spins = Assembled {
        also: format!("(func $spin {SPINS}) (start $spin)"),
        ..Assembled::default()
    };
    let problem = provider(hurried(&spins)).await.map(drop).unwrap_err();
    assert_eq!(problem.code.as_deref(), Some("plugin_cpu_exhausted"), "{problem:?}");
}

#[tokio::test]
async fn room_that_is_none_is_not_written_to() {
    for realloc in ["(i32.const -1)", "(i32.const 0x7ffffff0)", "(i32.const 1025)"] {
        let bad = Assembled {
            realloc: realloc.to_owned(),
            ..Assembled::default()
        };
        let guest = provider(limited(&bad)).await.unwrap();
        let problem = ask(&guest, &call("a"), chat("x")).await.map(drop).expect_err(realloc);
        assert_eq!(problem.kind, ProblemKind::Internal, "{problem:?}");
    }
}
