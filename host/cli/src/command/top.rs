//! `plugin top`: how the plugins of a running server fare, in a table that is drawn anew.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use encaje_http::native::{PluginBody, PluginListBody};
use encaje_registry::format_size;

use super::{duration, printable, table};
use crate::args::Remote;
use crate::client::{Address, Connection};

/// Where a server listens that was told nothing else.
const USUAL: &str = "http://127.0.0.1:8080";

/// Moves to the upper left corner and clears what is below.
const HOME: &str = "\u{1b}[H\u{1b}[J";

pub(crate) async fn run(remote: &Remote, every: u64, once: bool, json: bool) -> Result<()> {
    if every == 0 {
        bail!("--every must be at least 1");
    }
    let address = Address::parse(remote.url.as_deref().unwrap_or(USUAL), remote.key.clone())?;
    let mut before: Option<(Instant, PluginListBody)> = None;
    loop {
        let mut server = Connection::open(&address).await?;
        let answer = server.get("/api/v1/plugins").await?;
        let now: PluginListBody = serde_json::from_slice(&answer)?;
        if json {
            println!("{}", serde_json::to_string_pretty(&now)?);
            return Ok(());
        }
        let seen = Instant::now();
        let since = before.as_ref().map(|(at, old)| (seen - *at, old));
        let page = page(&now, since);
        let mut out = std::io::stdout().lock();
        if out.is_terminal() && !once {
            write!(out, "{HOME}")?;
        }
        writeln!(out, "{page}")?;
        drop(out);
        if once {
            return Ok(());
        }
        before = Some((seen, now));
        tokio::time::sleep(Duration::from_secs(every)).await;
    }
}

fn page(now: &PluginListBody, before: Option<(Duration, &PluginListBody)>) -> String {
    let mut rows = table(&[
        "PLUGIN", "KIND", "VERSION", "BREAKER", "CALLS", "CALLS/S", "ERRORS", "RUNNING", "WAITING", "P50", "P99",
        "CPU", "MEMORY", "EGRESS",
    ]);
    for plugin in &now.plugins {
        let rate = before.and_then(|(since, old)| {
            let old = old.plugins.iter().find(|old| old.name == plugin.name)?;
            Some(per_second(plugin, old, since))
        });
        rows.add_row(vec![
            plugin.name.clone(),
            plugin.kind.clone(),
            plugin.version.clone(),
            plugin.breaker.clone(),
            plugin.calls.to_string(),
            rate.unwrap_or_else(|| "-".to_owned()),
            errors(plugin),
            format!("{}/{}", plugin.running, plugin.instances),
            plugin.waiting.to_string(),
            bound(plugin, plugin.p50_us),
            bound(plugin, plugin.p99_us),
            duration(plugin.cpu_us),
            format_size(plugin.peak_memory),
            format_size(plugin.egress_bytes),
        ]);
    }
    let mut page = format!("generation {}\n\n{rows}", now.generation);
    if let Some(why) = &now.refused {
        page.push_str(&format!(
            "\n\nthe last edit of the registry was not taken over:\n{}",
            printable(why)
        ));
    }
    page
}

/// A reload counts a plugin that is another from 0 again.
fn per_second(now: &PluginBody, old: &PluginBody, since: Duration) -> String {
    let calls = now.calls.saturating_sub(old.calls);
    #[expect(clippy::cast_precision_loss, reason = "calls of some seconds")]
    let rate = calls as f64 / since.as_secs_f64().max(1e-3);
    format!("{rate:.1}")
}

/// Failures by class, and what was turned away at the door by reason.
fn errors(plugin: &PluginBody) -> String {
    let counts = plugin.errors.iter().chain(&plugin.turned_away);
    let counted = counts.filter(|(_, count)| **count > 0);
    let told: Vec<_> = counted
        .map(|(what, count)| format!("{} {count}", printable(what)))
        .collect();
    if told.is_empty() {
        "0".to_owned()
    } else {
        told.join(", ")
    }
}

/// Latencies are known up to their bucket's bound.
fn bound(plugin: &PluginBody, us: u64) -> String {
    match plugin.calls {
        0 => "-".to_owned(),
        _ => format!("≤ {}", duration(us)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn seen(calls: u64) -> PluginListBody {
        PluginListBody {
            generation: 3,
            refused: Some("registry.toml:1: \u{1b}[2J no".to_owned()),
            plugins: vec![PluginBody {
                name: "one".to_owned(),
                kind: "provider".to_owned(),
                version: "0.1.0".to_owned(),
                digest: "ab".repeat(32),
                instance: "per-call".to_owned(),
                breaker: "closed".to_owned(),
                calls,
                errors: BTreeMap::from([("timeout".to_owned(), 2)]),
                turned_away: BTreeMap::from([("plugin_busy".to_owned(), 7)]),
                running: 1,
                waiting: 0,
                instances: 64,
                p50_us: 1_000,
                p99_us: 25_000,
                cpu_us: 5_000,
                peak_memory: 1 << 20,
                egress_bytes: 0,
            }],
        }
    }

    #[test]
    fn a_page_tells_rates_errors_and_the_refused_edit() {
        let first = page(&seen(10), None);
        assert!(
            first.contains("generation 3") && first.contains("timeout 2, plugin_busy 7"),
            "{first}"
        );
        assert!(!first.contains('\u{1b}'), "{first}");
        let old = seen(10);
        let second = page(&seen(30), Some((Duration::from_secs(2), &old)));
        assert!(second.contains("10.0"), "{second}");
    }
}
