//! Granted = what the manifest requires ∩ what the operator allows. Decided here once, before a plugin is loaded;
//! enforced by the capabilities.

use std::collections::BTreeMap;

use serde_json::Value;

use super::requires::{MetricDeclaration, Need};
use super::{Instance, Manifest, config};
use crate::diagnostic::{Diagnostic, Severity, Span};
use crate::names::listed;
use crate::reader::key_text;
use crate::registry::{Allow, HostPort, Plugin, Registry, SECRET_EXAMPLE, Scope, SecretBinding};

/// What this version of the host parses and cannot give.
const NOT_SERVED: [&str; 4] = ["http", "secrets", "models", "vectors"];

/// What a plugin holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// Local models by name.
    pub inference: Vec<String>,
    /// Databases by name.
    pub sql: Vec<String>,
    /// A key-value store of its own.
    pub kv: bool,
    /// The metrics that it may write.
    pub metrics: Vec<MetricDeclaration>,
    /// Hosts that its requests may go to. Empty in this version.
    pub http: Vec<HostPort>,
    /// Secrets by name. Empty in this version.
    pub secrets: BTreeMap<String, SecretBinding>,
    /// Routed models. Nothing in this version.
    pub models: Scope,
    /// Vector collections. Nothing in this version.
    pub vectors: Scope,
}

/// A plugin's part of the registry and its manifest, brought together: all that a load needs.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// What it holds.
    pub grants: Grants,
    /// Its `config`, checked, with the defaults filled in.
    pub config: Value,
    /// How its instances are kept: the operator's word, else the manifest's.
    pub instance: Instance,
    /// What the operator should look at.
    pub warnings: Vec<Diagnostic>,
}

impl Registry {
    /// Brings a plugin's part of the registry together with its manifest.
    ///
    /// # Errors
    /// All of it at once: another kind, a need without its `allow`, a need that this version does not serve, a `config`
    /// that the schema refuses. Each at its line in the registry.
    pub fn resolve(&self, plugin: &Plugin, manifest: &Manifest) -> Result<Resolved, Vec<Diagnostic>> {
        let mut wrong = Vec::new();
        if plugin.kind != manifest.kind {
            let (said, is) = (plugin.kind.as_str(), manifest.kind.as_str());
            let message = format!(
                "the plugin `{}` is declared as a `{said}`; its manifest says `{is}`",
                plugin.name
            );
            let fix = format!("write `kind = \"{is}\"`, or name another source");
            wrong.push(self.diagnostic(Severity::Error, plugin.kind_at, message, fix));
        }
        let granted = Grants::intersect(self, plugin, manifest);
        let config = config::check(self, plugin, &manifest.config_schema);
        match (granted, config) {
            (Ok((grants, warnings)), Ok(config)) if wrong.is_empty() => Ok(Resolved {
                grants,
                config,
                instance: plugin.instance.unwrap_or(manifest.instance),
                warnings,
            }),
            (granted, config) => {
                wrong.extend(granted.err().into_iter().flatten());
                wrong.extend(config.err().into_iter().flatten());
                wrong.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
                Err(wrong)
            }
        }
    }
}

/// One plugin's grants while they are decided.
struct Deciding<'a> {
    registry: &'a Registry,
    plugin: &'a Plugin,
    manifest: &'a Manifest,
    /// What is required and not allowed, in words.
    missing: Vec<String>,
    /// The `allow` that would do.
    wanted: Allow,
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
}

impl Grants {
    /// Granted = `requires` ∩ `allow`. The second value are warnings: what is allowed and not required is not granted.
    ///
    /// # Errors
    /// What is required and not allowed, with the line to add to the registry; what this version does not serve.
    pub fn intersect(
        registry: &Registry,
        plugin: &Plugin,
        manifest: &Manifest,
    ) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let (requires, allow) = (&manifest.requires, &plugin.allow);
        let mut deciding = Deciding {
            registry,
            plugin,
            manifest,
            missing: Vec::new(),
            wanted: allow.clone(),
            errors: Vec::new(),
            warnings: Vec::new(),
        };
        let kv = deciding.flag("kv", requires.kv, allow.kv);
        let metrics = deciding.flag("metrics", requires.metrics, allow.metrics);
        let models: Vec<String> = registry.models.keys().cloned().collect();
        let inference = deciding.names("inference", &requires.inference, &allow.inference, &models);
        let databases: Vec<String> = registry.databases.keys().take(1).cloned().collect();
        let sql = deciding.names("sql", &requires.sql, &allow.sql, &databases);
        deciding.wanted.kv |= requires.kv;
        deciding.wanted.metrics |= requires.metrics;
        deciding.wanted.inference.extend(inference.lacking);
        deciding.wanted.sql.extend(sql.lacking);
        deciding.refuse_missing();
        deciding.refuse_unserved();
        if !deciding.errors.is_empty() {
            return Err(deciding.errors);
        }
        let metrics = if metrics { manifest.metrics.clone() } else { Vec::new() };
        let (inference, sql) = (inference.granted, sql.granted);
        let grants = Self {
            inference,
            sql,
            kv,
            metrics,
            ..Self::default()
        };
        Ok((grants, deciding.warnings))
    }

    /// What a plugin should be told when it calls what it does not hold: the line to add to the registry.
    pub fn denied(plugin: &str, capability: &str) -> String {
        let example = match capability {
            "inference" => "`allow = { inference = [\"MODEL\"] }`",
            "sql" => "`allow = { sql = [\"DATABASE\"] }`",
            "kv" => "`allow = { kv = true }`",
            "metrics" => "`allow = { metrics = true }`",
            "http" => "`allow = { http = [\"HOST:443\"] }`",
            "models" => "`allow = { models = [\"MODEL\"] }`",
            "vectors" => "`allow = { vectors = [\"COLLECTION\"] }`",
            "secrets" => return denied(plugin, capability, &format!("`allow` with {SECRET_EXAMPLE}")),
            other => return denied(plugin, capability, &format!("`{other}` to `allow`")),
        };
        denied(plugin, capability, example)
    }
}

fn denied(plugin: &str, capability: &str, line: &str) -> String {
    format!(
        "`{capability}` is not granted: add {line} under `[plugins.{}]` of the registry, and `{capability}` under \
         `[requires]` of the plugin's manifest",
        key_text(plugin)
    )
}

/// The names of one capability.
#[derive(Default)]
struct Named {
    granted: Vec<String>,
    /// To add to what is allowed.
    lacking: Vec<String>,
}

impl Deciding<'_> {
    fn who(&self) -> String {
        format!(
            "the plugin `{}` ({} {})",
            self.plugin.name, self.manifest.name, self.manifest.version
        )
    }

    fn error(&mut self, at: Span, message: String, fix: String) {
        self.errors
            .push(self.registry.diagnostic(Severity::Error, at, message, fix));
    }

    /// One error for all that is missing, since one line mends it all.
    fn refuse_missing(&mut self) {
        let Some((last, rest)) = self.missing.split_last() else {
            return;
        };
        let (all, verb) = if rest.is_empty() {
            (last.clone(), "is")
        } else {
            (format!("{} and {last}", rest.join(", ")), "are")
        };
        let written = self.plugin.allow.places.whole;
        let how = if written.is_some() {
            "change the line to"
        } else {
            "add the line"
        };
        let name = key_text(&self.plugin.name);
        let fix = format!("{how} `allow = {}` under `[plugins.{name}]`", self.wanted.to_toml());
        let message = format!("{} requires {all}, which {verb} not allowed", self.who());
        self.error(written.unwrap_or(self.plugin.at), message, fix);
    }

    fn refuse_unserved(&mut self) {
        let requires = &self.manifest.requires;
        let needs = [&requires.http, &requires.secrets, &requires.models, &requires.vectors];
        for key in NOT_SERVED
            .iter()
            .zip(needs)
            .filter(|(_, need)| need.is_some())
            .map(|(key, _)| key)
        {
            let message = format!(
                "{} requires `{key}`; this version does not serve `{key}` yet",
                self.who()
            );
            let fix = "remove the plugin, or use a version of it that does without".to_owned();
            self.error(self.plugin.at, message, fix);
        }
    }

    fn unasked(&mut self, key: &str, what: &str) {
        let at = self
            .plugin
            .allow
            .places
            .keys
            .get(key)
            .copied()
            .unwrap_or(self.plugin.at);
        let message = format!("{what} is allowed and not granted: {} does not require it", self.who());
        let fix = "remove it".to_owned();
        self.warnings
            .push(self.registry.diagnostic(Severity::Warning, at, message, fix));
    }

    fn flag(&mut self, key: &str, required: bool, allowed: bool) -> bool {
        match (required, allowed) {
            (true, false) => self.missing.push(format!("`{key}`")),
            (false, true) => self.unasked(key, &format!("`{key}`")),
            _ => {}
        }
        required && allowed
    }

    /// `declared` is what to suggest where the plugin does not say what it needs.
    fn names(&mut self, key: &str, need: &Need, allowed: &[String], declared: &[String]) -> Named {
        let quoted = |names: &[String]| listed(names.iter().map(String::as_str));
        match need {
            Need::No if allowed.is_empty() => Named::default(),
            Need::No => {
                self.unasked(key, &format!("`{key}`"));
                Named::default()
            }
            Need::Any if allowed.is_empty() => {
                self.missing.push(format!("`{key}`"));
                let lacking = if declared.is_empty() {
                    vec!["NAME".to_owned()]
                } else {
                    declared.to_vec()
                };
                Named {
                    granted: Vec::new(),
                    lacking,
                }
            }
            Need::Any => Named {
                granted: allowed.to_vec(),
                lacking: Vec::new(),
            },
            Need::Names(names) => {
                let (granted, lacking): (Vec<String>, Vec<String>) =
                    names.iter().cloned().partition(|name| allowed.contains(name));
                let beyond: Vec<String> = allowed.iter().filter(|name| !names.contains(name)).cloned().collect();
                if !lacking.is_empty() {
                    self.missing.push(format!("`{key}` for {}", quoted(&lacking)));
                }
                if !beyond.is_empty() {
                    self.unasked(key, &format!("`{key}` for {}", quoted(&beyond)));
                }
                Named { granted, lacking }
            }
        }
    }
}
