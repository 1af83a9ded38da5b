//! Granted = what the manifest requires ∩ what the operator allows. Decided here once, before a plugin is loaded;
//! enforced by the capabilities.

use std::collections::BTreeMap;

use serde_json::Value;

use super::deciding::Deciding;
use super::requires::MetricDeclaration;
use super::{Instance, Manifest, WIT_VERSION, config};
use crate::diagnostic::{Diagnostic, Severity};
use crate::reader::key_text;
use crate::registry::{HttpRule, Plugin, Registry, SECRET_EXAMPLE, Scope, SecretBinding};

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
    /// Which requests it may send, in the operator's own rules.
    pub http: Vec<HttpRule>,
    /// Secrets by name, bound as the operator says; `reveal` is the operator's word alone.
    pub secrets: BTreeMap<String, SecretBinding>,
    /// Routed models, by name or pattern.
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
            (Ok((grants, mut warnings)), Ok(config)) if wrong.is_empty() => {
                warnings.extend(self.ageing(plugin, manifest));
                Ok(Resolved {
                    grants,
                    config,
                    instance: plugin.instance.unwrap_or(manifest.instance),
                    warnings,
                })
            }
            (granted, config) => {
                wrong.extend(granted.err().into_iter().flatten());
                wrong.extend(config.err().into_iter().flatten());
                wrong.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
                Err(wrong)
            }
        }
    }

    /// A warning for a plugin that this host serves and its next minor version will not.
    fn ageing(&self, plugin: &Plugin, manifest: &Manifest) -> Option<Diagnostic> {
        if manifest.wit == WIT_VERSION {
            return None;
        }
        let message = format!(
            "the plugin `{}` was built for version {} of the contracts",
            plugin.name, manifest.wit
        );
        let fix = format!(
            "build it against {WIT_VERSION} before the host's next version, which serves {WIT_VERSION} and its own"
        );
        Some(self.diagnostic(Severity::Warning, plugin.kind_at, message, fix))
    }
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
        let mut deciding = Deciding::new(registry, plugin, manifest);
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
        // The hosts first: what is missing of the secrets is bound to one of them.
        let http = deciding.http(&requires.http);
        let secrets = deciding.secrets(&requires.secrets);
        let models = deciding.models(&requires.models);
        let warnings = deciding.finish()?;
        let metrics = if metrics { manifest.metrics.clone() } else { Vec::new() };
        let (inference, sql) = (inference.granted, sql.granted);
        let grants = Self {
            inference,
            sql,
            kv,
            metrics,
            http,
            secrets,
            models,
            vectors: Scope::None,
        };
        Ok((grants, warnings))
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
