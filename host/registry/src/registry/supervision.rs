//! `retry` and `breaker`: what happens after a call has failed. Numbers alone; the flow and the runtime keep to them.

use std::time::Duration;

use encaje_core::trace::PluginKind;
use serde::Serialize;

use crate::limits;
use crate::reader::{Node, Shape, Table};
use crate::units;

const RETRY: Shape = Shape {
    known: &["attempts", "first", "most"],
    renamed: &[
        ("retries", "`attempts`, the tries all told"),
        ("max_retries", "`attempts`, the tries all told"),
        ("max_attempts", "`attempts`"),
        ("tries", "`attempts`"),
        ("backoff", "`first`, the first pause"),
        ("delay", "`first`, the first pause"),
        ("initial", "`first`"),
        ("base", "`first`"),
        ("max", "`most`"),
        ("max_delay", "`most`"),
        ("cap", "`most`"),
        ("factor", "nothing: each pause is up to twice as long as the one before"),
        ("jitter", "nothing: pauses always vary"),
    ],
};

const BREAKER: Shape = Shape {
    known: &["failures", "window", "pause", "probes"],
    renamed: &[
        ("threshold", "`failures`"),
        ("failure_threshold", "`failures`"),
        ("max_failures", "`failures`"),
        ("errors", "`failures`"),
        ("interval", "`window`"),
        ("period", "`window`"),
        ("cooldown", "`pause`"),
        ("timeout", "`pause`"),
        ("reset", "`pause`"),
        ("reset_timeout", "`pause`"),
        ("half_open", "`probes`"),
        ("trials", "`probes`"),
        ("enabled", "`failures = 0` to switch it off"),
    ],
};

const RETRY_EXAMPLE: &str = "`retry = { attempts = 2 }`; `attempts = 1` switches retries off";
const BREAKER_EXAMPLE: &str = "`breaker = { failures = 5 }`; `failures = 0` switches it off";

/// How often a provider is asked again when it failed in a way that may pass. See [`crate::limits`] for the bounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Retry {
    /// Tries all told, the first among them; 1 is no retry.
    pub attempts: u32,
    /// The pause before the second try; later ones grow from it.
    #[serde(serialize_with = "units::serialize_duration")]
    pub first: Duration,
    /// No pause is longer.
    #[serde(serialize_with = "units::serialize_duration")]
    pub most: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: limits::DEFAULT_ATTEMPTS,
            first: limits::DEFAULT_FIRST_PAUSE,
            most: limits::DEFAULT_MOST_PAUSE,
        }
    }
}

/// When a plugin that keeps failing is left alone for a while. See [`crate::limits`] for the bounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Breaker {
    /// So many failures within `window` open it; 0 is no breaker.
    pub failures: u32,
    /// How long a failure counts.
    #[serde(serialize_with = "units::serialize_duration")]
    pub window: Duration,
    /// How long it stays open, before it is half-open.
    #[serde(serialize_with = "units::serialize_duration")]
    pub pause: Duration,
    /// Calls at a time that try a half-open one.
    pub probes: u32,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            failures: limits::DEFAULT_FAILURES,
            window: limits::DEFAULT_WINDOW,
            pause: limits::DEFAULT_BREAK,
            probes: limits::DEFAULT_PROBES,
        }
    }
}

impl Retry {
    /// One try.
    fn off() -> Self {
        Self {
            attempts: 1,
            ..Self::default()
        }
    }

    /// Only providers are asked again: a storage has its spool, and nobody waits for a second judgement.
    pub(super) fn of(plugin: &Table<'_>, kind: Option<PluginKind>) -> Self {
        let node = plugin.get("retry");
        match kind {
            None | Some(PluginKind::Provider) => node.map(|node| Self::read(&node)).unwrap_or_default(),
            Some(_) => {
                refuse(node, "is for providers alone");
                Self::off()
            }
        }
    }

    fn read(node: &Node<'_>) -> Self {
        let mut read = Self::default();
        let Some(table) = node.table(&RETRY, RETRY_EXAMPLE) else {
            return read;
        };
        number(&table, "attempts", 1, limits::MAX_ATTEMPTS, &mut read.attempts);
        duration(&table, "first", limits::MAX_RETRY_PAUSE, &mut read.first);
        duration(&table, "most", limits::MAX_RETRY_PAUSE, &mut read.most);
        if read.first > read.most {
            let (first, most) = (units::format_duration(read.first), units::format_duration(read.most));
            let (at, fix) = match (table.get("first"), table.get("most")) {
                (Some(at), None) => (at, format!("add `most = \"{first}\"` or more")),
                (_, Some(at)) => (at, format!("write `most = \"{first}\"` or more, or a shorter `first`")),
                (None, None) => return read,
            };
            let message = format!(
                "`{}` begins with a pause of {first}, longer than the longest, {most}",
                node.path
            );
            at.error(message, fix);
        }
        read
    }
}

impl Breaker {
    fn off() -> Self {
        Self {
            failures: 0,
            ..Self::default()
        }
    }

    /// A storage has none: what it cannot take is spooled, and it is asked again at once when it is back.
    pub(super) fn of(plugin: &Table<'_>, kind: Option<PluginKind>) -> Self {
        let node = plugin.get("breaker");
        if kind == Some(PluginKind::Storage) {
            refuse(node, "is not for storages, whose writes are spooled while they fail");
            return Self::off();
        }
        node.map(|node| Self::read(&node)).unwrap_or_default()
    }

    fn read(node: &Node<'_>) -> Self {
        let mut read = Self::default();
        let Some(table) = node.table(&BREAKER, BREAKER_EXAMPLE) else {
            return read;
        };
        number(&table, "failures", 0, limits::MAX_FAILURES, &mut read.failures);
        duration(&table, "window", limits::MAX_WINDOW, &mut read.window);
        duration(&table, "pause", limits::MAX_BREAK, &mut read.pause);
        number(&table, "probes", 1, limits::MAX_PROBES, &mut read.probes);
        read
    }
}

fn refuse(node: Option<Node<'_>>, why: &str) {
    if let Some(node) = node {
        node.report
            .error(node.key, format!("`{}` {why}", node.path), "remove it");
    }
}

fn number(table: &Table<'_>, key: &str, least: u32, most: u32, value: &mut u32) {
    let read = |node: Node<'_>| node.integer32(least..=most, "a number such as `5`");
    *value = table.get(key).and_then(read).unwrap_or(*value);
}

fn duration(table: &Table<'_>, key: &str, most: Duration, value: &mut Duration) {
    let read = |node: Node<'_>| node.duration(limits::MIN_PAUSE..=most);
    *value = table.get(key).and_then(read).unwrap_or(*value);
}
