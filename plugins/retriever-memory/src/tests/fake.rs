//! A store in memory that several instances share. Each of their steps waits for its turn, and the turns are drawn from a
//! seed: every seed is one interleaving, the same each time.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};

use encaje_sdk::errors::Problem;
use encaje_sdk::host::kv::Entry;
use encaje_sdk::retriever::Document;
use encaje_sdk::values::Value;

use crate::store::Store;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) entries: BTreeMap<String, (Vec<u8>, u64)>,
    version: u64,
    random: u64,
    pub(super) now_us: u64,
    turn: usize,
    alive: Vec<bool>,
    /// Steps until the store fails for good, as if the instance died.
    pub(super) steps_left: Option<u64>,
}

impl State {
    fn draw(&mut self) -> u64 {
        // SplitMix64 (Steele et al. 2014).
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn next_turn(&mut self) {
        let alive: Vec<usize> = (0..self.alive.len()).filter(|own| self.alive[*own]).collect();
        if !alive.is_empty() {
            self.turn = alive[self.draw() as usize % alive.len()];
        }
    }
}

/// One instance's view of the store.
#[derive(Debug, Clone)]
pub(super) struct Fake {
    pub(super) shared: Arc<(Mutex<State>, Condvar)>,
    own: usize,
}

/// A store for so many instances.
pub(super) fn stores(instances: usize, seed: u64) -> Vec<Fake> {
    let mut state = State {
        random: seed,
        now_us: 1_000_000_000_000_000,
        alive: vec![true; instances],
        ..State::default()
    };
    state.next_turn();
    let shared = Arc::new((Mutex::new(state), Condvar::new()));
    (0..instances)
        .map(|own| Fake {
            shared: shared.clone(),
            own,
        })
        .collect()
}

impl Fake {
    fn step<T>(&self, act: impl FnOnce(&mut State) -> Result<T, Problem>) -> Result<T, Problem> {
        let (state, turns) = &*self.shared;
        let mut state = turns
            .wait_while(state.lock().unwrap(), |state| state.turn != self.own)
            .unwrap();
        let outcome = match &mut state.steps_left {
            Some(0) => Err(Problem::unavailable("the store is gone")),
            left => {
                if let Some(left) = left {
                    *left -= 1;
                }
                act(&mut state)
            }
        };
        state.next_turn();
        turns.notify_all();
        outcome
    }

    /// This instance is done; the others go on.
    pub(super) fn leave(&self) {
        let (state, turns) = &*self.shared;
        let mut state = state.lock().unwrap();
        state.alive[self.own] = false;
        if state.turn == self.own {
            state.next_turn();
        }
        turns.notify_all();
    }

    pub(super) fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.shared.0.lock().unwrap()
    }
}

impl Store for Fake {
    fn get(&self, key: &str) -> Result<Option<Entry>, Problem> {
        self.step(|state| {
            let entry = |(value, version): &(Vec<u8>, u64)| Entry {
                key: key.to_owned(),
                value: value.clone(),
                version: *version,
            };
            Ok(state.entries.get(key).map(entry))
        })
    }

    fn compare_and_set(&self, key: &str, expected: u64, value: &[u8]) -> Result<u64, Problem> {
        assert!(
            !key.is_empty() && key.len() <= 1_024 && value.len() <= 1 << 20,
            "the host would refuse {key}"
        );
        self.step(|state| {
            let found = state.entries.get(key).map_or(0, |(_, version)| *version);
            if found != expected {
                return Err(Problem::conflict("another version").with_code("kv_version"));
            }
            state.version += 1;
            state.entries.insert(key.to_owned(), (value.to_vec(), state.version));
            Ok(state.version)
        })
    }

    fn remove(&self, key: &str) -> Result<bool, Problem> {
        self.step(|state| Ok(state.entries.remove(key).is_some()))
    }

    fn keys(&self, prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<String>, Problem> {
        self.step(|state| {
            let behind = |key: &&String| key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after);
            Ok(state
                .entries
                .keys()
                .filter(behind)
                .take(limit as usize)
                .cloned()
                .collect())
        })
    }

    fn now_us(&self) -> u64 {
        self.state().now_us
    }

    fn chance(&self) -> u64 {
        self.state().draw()
    }

    fn pause(&self, _at_most_us: u64) {}
}

/// A document with one number beside its text.
pub(super) fn document(id: &str, text: &str, number: i64) -> Document {
    Document {
        id: id.to_owned(),
        text: text.to_owned(),
        title: None,
        url: None,
        metadata: vec![("n".to_owned(), Value::Integer(number))],
        extra: Vec::new(),
    }
}
