//! The decision in every situation, and the loop around it with fakes; the real thing at the end.

use std::cell::{Cell, RefCell};

use super::*;
use crate::progress::Remembered;

fn nothing() -> Facts {
    Facts {
        found: None,
        package_folder: None,
        rustup: Err("it is not on the PATH".into()),
        debian: Err("this system is arch, not Debian".into()),
    }
}

fn refused(ways: &[Way]) -> Vec<(Way, String)> {
    ways.iter().map(|way| (*way, format!("{way} was refused"))).collect()
}

#[test]
fn what_is_there_is_used_whatever_else_is_possible() {
    for found in [
        Found::InToolchain,
        Found::OwnSysroot("/s".into()),
        Found::OwnCompiler("/c".into()),
    ] {
        let facts = Facts {
            found: Some(found.clone()),
            package_folder: Some(Ok(())),
            rustup: Ok(()),
            debian: Ok(()),
        };
        assert_eq!(next_step(&facts, &[]), Step::Done(found));
    }
}

#[test]
fn each_way_follows_the_one_before() {
    let facts = Facts {
        found: None,
        package_folder: Some(Ok(())),
        rustup: Ok(()),
        debian: Ok(()),
    };
    let order = [Way::PackageFolder, Way::Rustup, Way::Apt, Way::WebCompiler];
    for count in 0..order.len() {
        assert_eq!(next_step(&facts, &refused(&order[..count])), Step::Take(order[count]));
    }
    let Step::GiveUp(tried) = next_step(&facts, &refused(&order)) else {
        panic!("a fifth way")
    };
    assert_eq!(tried, refused(&order));
}

#[test]
fn ways_that_are_closed_are_passed_over() {
    let rustup_only = Facts {
        rustup: Ok(()),
        ..nothing()
    };
    assert_eq!(next_step(&rustup_only, &[]), Step::Take(Way::Rustup));
    let debian_only = Facts {
        debian: Ok(()),
        ..nothing()
    };
    assert_eq!(next_step(&debian_only, &[]), Step::Take(Way::Apt));
    let wrong_folder = Facts {
        package_folder: Some(Err("no rust-src of 1.95.0".into())),
        rustup: Ok(()),
        ..nothing()
    };
    assert_eq!(next_step(&wrong_folder, &[]), Step::Take(Way::Rustup));
    let folder_on_another_system = Facts {
        package_folder: Some(Ok(())),
        ..nothing()
    };
    assert_eq!(
        next_step(&folder_on_another_system, &[]),
        Step::Take(Way::PackageFolder)
    );
    assert!(matches!(
        next_step(&folder_on_another_system, &refused(&[Way::PackageFolder])),
        Step::GiveUp(_)
    ));
}

/// A system where some ways work and the others fail.
struct Fake {
    facts: Facts,
    works: Option<(Way, Found)>,
    found: RefCell<Option<Found>>,
    taken: RefCell<Vec<Way>>,
    looks: Cell<u32>,
}

impl Fake {
    fn new(facts: Facts, works: Option<(Way, Found)>) -> Self {
        Self {
            facts,
            works,
            found: RefCell::default(),
            taken: RefCell::default(),
            looks: Cell::default(),
        }
    }
}

impl Ways for Fake {
    fn look(&self) -> Facts {
        self.looks.set(self.looks.get() + 1);
        assert!(self.looks.get() < 50, "it does not end");
        Facts {
            found: self.found.borrow().clone(),
            ..self.facts.clone()
        }
    }
    fn take(&self, way: Way) -> Result<(), String> {
        self.taken.borrow_mut().push(way);
        match &self.works {
            Some((works, found)) if *works == way => {
                *self.found.borrow_mut() = Some(found.clone());
                Ok(())
            }
            _ => Err("refused".into()),
        }
    }
}

#[test]
fn rustup_refused_on_debian_ends_with_a_sysroot_of_our_own_and_says_why_in_one_line() {
    let built = Found::OwnSysroot("/home/sysroot".into());
    let fake = Fake::new(
        Facts {
            rustup: Ok(()),
            debian: Ok(()),
            ..nothing()
        },
        Some((Way::Apt, built.clone())),
    );
    let said = Remembered::default();
    assert_eq!(provide(&fake, "1.95.0", &said).unwrap(), built);
    assert_eq!(*fake.taken.borrow(), [Way::Rustup, Way::Apt]);
    let lines = said.lines();
    assert_eq!(
        lines,
        [
            "guest target: plugins compile to wasm32-wasip2, which rustc 1.95.0 lacks: adding it with rustup (about 100 MB on disk)",
            "guest target: rustup: refused",
            "guest target: plugins compile to wasm32-wasip2, which rustc 1.95.0 lacks: building one from Debian's sources of \
             exactly this version (46 MB and about a minute, once)",
        ]
    );
}

#[test]
fn a_way_that_claims_success_in_vain_is_not_taken_twice() {
    struct Liar(RefCell<Vec<Way>>);
    impl Ways for Liar {
        fn look(&self) -> Facts {
            Facts {
                rustup: Ok(()),
                ..nothing()
            }
        }
        fn take(&self, way: Way) -> Result<(), String> {
            self.0.borrow_mut().push(way);
            Ok(())
        }
    }
    let liar = Liar(RefCell::default());
    let error = provide(&liar, "1.95.0", &Remembered::default()).unwrap_err();
    assert_eq!(*liar.0.borrow(), [Way::Rustup]);
    assert!(
        error
            .to_string()
            .contains("rustup: it ended well, but the target is still not there"),
        "{error}"
    );
}

#[test]
fn nothing_possible_is_an_error_that_names_each_reason_and_the_fix() {
    let facts = Facts {
        package_folder: Some(Err("/debs has no wasi-libc".into())),
        ..nothing()
    };
    let error = provide(&Fake::new(facts, None), "1.95.0", &Remembered::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "rustc 1.95.0 has no standard library for wasm32-wasip2, and no way to get one worked:\n  \
         - packages in ENCAJE_DEB_DIR: /debs has no wasi-libc\n  \
         - rustup: it is not on the PATH\n  \
         - Debian's sources of this version: this system is arch, not Debian\n  \
         - Debian's rustc-web: this system is arch, not Debian\n\
         To fix it, do one of these: run `rustup target add wasm32-wasip2`; or set ENCAJE_DEB_DIR to a folder that holds \
         Debian's packages rust-src (version 1.95.0) and wasi-libc."
    );
}

#[test]
fn the_environment_of_a_build_follows_from_what_was_found() {
    let toolchain = Toolchain {
        verbose_version: "rustc 1.95.0".into(),
        release: "1.95.0".into(),
        commit: "0".into(),
        host: "x".into(),
        sysroot: "/t".into(),
    };
    let target = |found| GuestTarget {
        toolchain: toolchain.clone(),
        found,
    };
    assert!(target(Found::InToolchain).environment().is_empty());
    let own = target(Found::OwnSysroot("/s".into()));
    assert_eq!(
        own.environment(),
        [("CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS", "--sysroot=/s".to_owned())]
    );
    assert_eq!(
        target(Found::OwnCompiler("/c".into())).environment(),
        [("RUSTC", "/c/rustc".to_owned())]
    );
    assert_ne!(own.identity(), target(Found::InToolchain).identity());
}

#[test]
fn a_look_says_how_the_machine_stands() {
    let facts = |found: Option<Found>, rustup: Result<(), String>| Facts {
        found,
        package_folder: None,
        rustup,
        debian: Err("this is no Debian".to_owned()),
    };
    let here = standing(&facts(Some(Found::InToolchain), Ok(())), "1.95.0");
    assert_eq!(here, Tooling::Here("rustc 1.95.0 has wasm32-wasip2".to_owned()));
    let rustup = standing(&facts(None, Ok(())), "1.95.0");
    assert_eq!(
        rustup,
        Tooling::ToInstall("wasm32-wasip2 for rustc 1.95.0, by rustup".to_owned())
    );
    let none = standing(&facts(None, Err("it is not on the PATH".to_owned())), "1.95.0");
    assert!(
        matches!(&none, Tooling::Missing(text) if text.contains("rustup target add") && text.contains("no Debian"))
    );
}
