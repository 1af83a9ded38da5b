//! What no table can say alone: that names are declared, that the storage is one, that the server is not left open.

use std::collections::{BTreeMap, BTreeSet};

use encaje_core::trace::PluginKind;

use super::{HostPort, Plugin, PluginSource, Registry, Scope};
use crate::diagnostic::{Diagnostic, Report, Severity, Span, quoted};
use crate::limits;
use crate::names::{listed, nearest};
use crate::reader::{Node, Table};

/// Reports to `report` and settles which plugin is the storage. `declared` are the plugins' tables, those with mistakes
/// in them too: a route to one of those is not a mistake of its own.
pub(super) fn check(registry: &mut Registry, root: &Table<'_>, report: &Report, declared: &[(String, Node<'_>)]) {
    // A key with a mistake in it is reported as that.
    let keys_written = root.get("keys").is_some_and(|node| !node.keys().is_empty());
    if let Some(listen) = registry.server.listen.filter(|_| !keys_written)
        && let Err(refusal) = registry.refuse_open_listen(listen)
    {
        report.error(registry.listen_at, refusal.message, refusal.fix.unwrap_or_default());
    }
    storage(registry, root, report, declared);
    hub(registry, root, report);
    allowed(registry, root, report);
    routes(registry, report, declared);
    unused(registry, report);
    for plugin in &registry.plugins {
        unsent(plugin, report);
    }
    shares(registry, report);
}

/// Settles how many of the server's requests each provider may hold. One that may hold most of them keeps the others from
/// being asked at all while it hangs: no error, since it may be the only one.
fn shares(registry: &mut Registry, report: &Report) {
    let in_flight = registry.server.max_in_flight;
    for plugin in &mut registry.plugins {
        let Some(held) = plugin.share(in_flight) else { continue };
        let message = format!(
            "`{}` may hold {held} requests (`instances` and `queue`), and the server works on {in_flight} at once \
             (`max_in_flight`): while it hangs, requests for others are turned away",
            plugin.name
        );
        let share = (in_flight / limits::PROVIDER_SHARE).max(1);
        let fix = format!("let `instances` and `queue` be {share} together at most, or raise `max_in_flight`");
        report.warn(plugin.limits_at, message, fix);
    }
}

fn storage(registry: &mut Registry, root: &Table<'_>, report: &Report, declared: &[(String, Node<'_>)]) {
    let storages: Vec<String> = registry
        .plugins_of(PluginKind::Storage)
        .map(|plugin| plugin.name.clone())
        .collect();
    let server = root.get("server").filter(|node| node.is_table());
    let written = server.and_then(|node| node.child("storage"));
    let name = registry.server.storage.clone();
    if name.is_empty() {
        match storages.as_slice() {
            [only] => registry.server.storage = only.clone(),
            // A storage with a mistake in it may be the one.
            [] if declared.len() > registry.plugins.len() => {}
            [] => report.error_unseen(
                Span::default(),
                "no plugin keeps the ledger",
                "add a plugin of kind `storage`,\n  [plugins.NAME]\n  kind = \"storage\"\n  source = { path = \"plugins/NAME\" }",
            ),
            several => {
                let fix = format!("add `storage = \"{}\"` under `[server]`", several.first().map_or("", String::as_str));
                let names = listed(several.iter().map(String::as_str));
                let at = root.get("server").map(|node| node.key).unwrap_or_default();
                report.error(at, format!("{names} are storages, and nothing says which of them keeps the ledger"), fix);
            }
        }
        return;
    }
    let Some(at) = written.map(|node| node.at()) else {
        return;
    };
    match registry.plugin(&name).map(|plugin| plugin.kind) {
        Some(PluginKind::Storage) => {}
        Some(kind) => {
            let fix = match storages.first() {
                Some(storage) => format!("write `storage = \"{storage}\"`"),
                None => "name a plugin of kind `storage`".to_owned(),
            };
            report.error(
                at,
                format!("`{name}` is a plugin of kind `{}`, not a storage", kind.as_str()),
                fix,
            );
        }
        None if declared.iter().any(|(known, _)| *known == name) => {}
        None => undeclared(
            report,
            at,
            "plugin",
            &name,
            declared.iter().map(|(name, _)| name.as_str()),
            "[plugins.NAME]",
        ),
    }
}

fn hub(registry: &Registry, root: &Table<'_>, report: &Report) {
    if registry.hub.is_some() || root.get("sources").is_some_and(|node| node.child("hub").is_some()) {
        return;
    }
    if let Some(model) = registry
        .models
        .values()
        .filter(|model| model.needs_hub())
        .min_by_key(|model| model.at.start)
    {
        let message = format!(
            "`models.{}` has a source on the model hub, whose address is not declared",
            model.name
        );
        report.error(model.at, message, "add\n  [sources]\n  hub = \"https://…\"");
    }
}

fn undeclared<'n>(
    report: &Report,
    at: Span,
    what: &str,
    name: &str,
    known: impl IntoIterator<Item = &'n str>,
    header: &str,
) {
    if report.is_full() {
        return;
    }
    let known: Vec<&str> = known.into_iter().collect();
    let fix = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("declare it under `{}`", header.replace("NAME", name)),
        None => {
            let shown = listed(known.iter().copied().take(8));
            format!(
                "declare it under `{}`; declared are {shown}",
                header.replace("NAME", name)
            )
        }
    };
    report.error(at, format!("no {what} {} is declared", quoted(name)), fix);
}

fn allowed(registry: &Registry, root: &Table<'_>, report: &Report) {
    // The keys of the text, so that a model with a mistake in it is not reported as missing too.
    let written = |section: &str| -> BTreeSet<String> {
        root.get(section)
            .map(|node| node.keys())
            .unwrap_or_default()
            .into_iter()
            .collect()
    };
    let (models, databases, routes) = (written("models"), written("databases"), registry.core_routes());
    for (grant, name, at) in registry.plugins.iter().flat_map(|plugin| &plugin.allow.places.names) {
        let (what, header, known) = match *grant {
            "inference" => ("model", "[models.NAME]", &models),
            "sql" => ("database", "[databases.NAME]", &databases),
            "models" if !name.ends_with('*') && routes.find(name).is_none() => {
                let fix = format!("add `[routes.\"{name}\"]`, or name a model that has a route");
                report.error(*at, format!("no route answers the model {}", quoted(name)), fix);
                continue;
            }
            _ => continue,
        };
        if !known.contains(name) {
            undeclared(report, *at, what, name, known.iter().map(String::as_str), header);
        }
    }
}

fn routes(registry: &Registry, report: &Report, declared: &[(String, Node<'_>)]) {
    for route in &registry.routes {
        for (target, at) in route.to.iter().zip(&route.targets_at) {
            match registry.plugin(&target.plugin).map(|plugin| plugin.kind) {
                Some(PluginKind::Provider) => {}
                Some(kind) => {
                    let message = format!(
                        "`{}` is a plugin of kind `{}`, not a provider",
                        target.plugin,
                        kind.as_str()
                    );
                    report.error(*at, message, "name a plugin of kind `provider`");
                }
                None if declared.iter().any(|(name, _)| *name == target.plugin) => {}
                None => {
                    let providers = registry
                        .plugins_of(PluginKind::Provider)
                        .map(|plugin| plugin.name.as_str());
                    undeclared(report, *at, "plugin", &target.plugin, providers, "[plugins.NAME]");
                }
            }
        }
    }
}

/// What is declared and reached by nothing: no error, but rarely meant.
fn unused(registry: &Registry, report: &Report) {
    let targets = registry.routes.iter().flat_map(|route| &route.to);
    let routed: BTreeSet<&str> = targets.map(|target| target.plugin.as_str()).collect();
    for plugin in registry
        .plugins_of(PluginKind::Provider)
        .filter(|plugin| !routed.contains(plugin.name.as_str()))
    {
        let fix = format!(
            "add `[routes.\"MODEL\"]` with `to = [{{ plugin = \"{}\" }}]`",
            plugin.name
        );
        report.warn(
            plugin.at,
            format!("no route leads to the provider `{}`", plugin.name),
            fix,
        );
    }
    let inference: BTreeSet<&String> = registry
        .plugins
        .iter()
        .flat_map(|plugin| &plugin.allow.inference)
        .collect();
    for (name, model) in registry.models.iter().filter(|(name, _)| !inference.contains(name)) {
        let fix = format!("add it to a provider's `allow = {{ inference = [\"{name}\"] }}`");
        report.warn(model.at, format!("no plugin is allowed the model `{name}`"), fix);
    }
    let sql: BTreeSet<&String> = registry.plugins.iter().flat_map(|plugin| &plugin.allow.sql).collect();
    let mut files: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, database) in &registry.databases {
        if !sql.contains(name) {
            let fix = format!("add it to a plugin's `allow = {{ sql = [\"{name}\"] }}`");
            report.warn(database.at, format!("no plugin is allowed the database `{name}`"), fix);
        }
        let beside = ["-wal", "-shm", "-journal"]
            .iter()
            .any(|end| database.sqlite.ends_with(end));
        if beside || RESERVED.iter().any(|own| database.sqlite.starts_with(own)) {
            let message = format!("the server keeps something else in `{}`", database.sqlite);
            report.error(database.at, message, "give the database another file");
        }
        if let Some(other) = files.insert(&database.sqlite, name) {
            let message = format!("`databases.{name}` and `databases.{other}` are the same file");
            report.error(database.at, message, "give each database a file of its own");
        }
    }
}

/// Secrets that no request which is allowed can carry.
fn unsent(plugin: &Plugin, report: &Report) {
    let allow = &plugin.allow;
    for (name, binding) in &allow.secrets {
        let sent = allow.http.iter().any(|rule| rule.at.host == binding.host);
        if sent || binding.reveal {
            continue;
        }
        let at = allow.places.secrets.get(name).copied().unwrap_or(plugin.at);
        let message = format!(
            "the secret `{name}` can never be used: it is bound to `{host}`, and no rule of `http` allows requests there",
            host = binding.host
        );
        let host = HostPort {
            host: binding.host.clone(),
            port: 443,
        };
        let fix = format!("add `\"{host}\"` to `http`, or bind the secret to a host that stands there");
        report.warn_unseen(at, message, fix);
    }
}

/// What the server itself keeps in the data folder; what begins so may be beside it.
const RESERVED: [&str; 3] = ["kv.db", "server.json", "spool"];

/// See [`Registry::unsupported`].
pub(super) fn unsupported(registry: &Registry) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for plugin in &registry.plugins {
        if let PluginSource::Oci { .. } = plugin.source {
            let message = format!(
                "the plugin `{}` comes from an OCI registry, which this version cannot fetch from",
                plugin.name
            );
            let fix = "download the component and write `source = { file = \"…\", sha256 = \"…\" }`".to_owned();
            found.push(registry.diagnostic(Severity::Error, plugin.source_at, message, fix));
        }
        let allow = &plugin.allow;
        if allow.vectors != Scope::None {
            let at = allow.places.keys.get("vectors").copied().unwrap_or(plugin.at);
            let message = format!(
                "`plugins.{}.allow.vectors` has no effect: this version does not serve `vectors` yet",
                plugin.name
            );
            let fix = "remove it, or leave it for a later version".to_owned();
            found.push(registry.diagnostic(Severity::Warning, at, message, fix));
        }
    }
    for route in registry.routes.iter().filter(|route| route.cost_mode.is_some()) {
        let message = format!(
            "`cost_mode` of the route `{}` has no effect in this version",
            route.pattern
        );
        found.push(registry.diagnostic(
            Severity::Warning,
            route.cost_mode_at,
            message,
            "remove it, or leave it for a later version".to_owned(),
        ));
    }
    found
}
