//! One plugin's grants while they are decided: what is missing, what was not asked for, and the line that would do. Which
//! capabilities there are is said in `grants`.

use std::collections::BTreeMap;

use super::Manifest;
use super::requires::Need;
use crate::diagnostic::{Diagnostic, Severity, Span};
use crate::names::listed;
use crate::reader::key_text;
use crate::registry::{Allow, HostPort, HttpRule, Plugin, Registry, Scope, SecretBinding, covers};

/// One plugin's grants while they are decided.
pub(super) struct Deciding<'a> {
    registry: &'a Registry,
    plugin: &'a Plugin,
    manifest: &'a Manifest,
    /// What is required and not allowed, in words.
    missing: Vec<String>,
    /// The `allow` that would do.
    pub(super) wanted: Allow,
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
}

/// The names of one capability.
#[derive(Default)]
pub(super) struct Named {
    pub(super) granted: Vec<String>,
    /// To add to what is allowed.
    pub(super) lacking: Vec<String>,
}

/// "`a`, `b` and `c`".
fn quoted(names: &[String]) -> String {
    listed(names.iter().map(String::as_str))
}

impl<'a> Deciding<'a> {
    pub(super) fn new(registry: &'a Registry, plugin: &'a Plugin, manifest: &'a Manifest) -> Self {
        Self {
            registry,
            plugin,
            manifest,
            missing: Vec::new(),
            wanted: plugin.allow.clone(),
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

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

    /// The warnings.
    ///
    /// # Errors
    /// What is required and not allowed, what this version does not serve.
    pub(super) fn finish(mut self) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
        self.refuse_missing();
        self.refuse_unserved();
        if self.errors.is_empty() {
            Ok(self.warnings)
        } else {
            Err(self.errors)
        }
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
        if self.manifest.requires.vectors.is_some() {
            let message = format!(
                "{} requires `vectors`; this version does not serve `vectors` yet",
                self.who()
            );
            let fix = "remove the plugin, or use a version of it that does without".to_owned();
            self.error(self.plugin.at, message, fix);
        } else if !self.plugin.allow.vectors.is_none() {
            self.unasked("vectors", "`vectors`");
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

    pub(super) fn flag(&mut self, key: &str, required: bool, allowed: bool) -> bool {
        match (required, allowed) {
            (true, false) => self.missing.push(format!("`{key}`")),
            (false, true) => self.unasked(key, &format!("`{key}`")),
            _ => {}
        }
        required && allowed
    }

    /// `declared` is what to suggest where the plugin does not say what it needs.
    pub(super) fn names(&mut self, key: &str, need: &Need, allowed: &[String], declared: &[String]) -> Named {
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
            Need::Any | Need::Optional => Named {
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
    /// The operator's rules for the hosts that are required.
    pub(super) fn http(&mut self, need: &Need) -> Vec<HttpRule> {
        let allowed = &self.plugin.allow.http;
        let mut hosts: Vec<String> = Vec::new();
        for rule in allowed {
            let host = rule.at.to_string();
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        let named = self.names("http", need, &hosts, &[]);
        let example = || HostPort {
            host: "HOST".to_owned(),
            port: 443,
        };
        let lacking = named.lacking.iter();
        let lacking = lacking.map(|text| HostPort::parse(text).unwrap_or_else(example));
        self.wanted.http.extend(lacking.map(HttpRule::from));
        let granted = |rule: &&HttpRule| named.granted.contains(&rule.at.to_string());
        allowed.iter().filter(granted).cloned().collect()
    }

    /// The required secrets, bound as the operator says.
    pub(super) fn secrets(&mut self, need: &Need) -> BTreeMap<String, SecretBinding> {
        let allowed = &self.plugin.allow.secrets;
        let names: Vec<String> = allowed.keys().cloned().collect();
        let named = self.names("secrets", need, &names, &[]);
        let host = self.wanted.http.first().map(|rule| rule.at.host.clone());
        for name in named.lacking {
            let example = SecretBinding::example(host.as_deref());
            self.wanted.secrets.insert(name, example);
        }
        let granted = |(name, _): &(&String, &SecretBinding)| named.granted.contains(name);
        let granted = allowed.iter().filter(granted);
        granted.map(|(name, binding)| (name.clone(), binding.clone())).collect()
    }

    /// The required models; a pattern is granted where all that it stands for is allowed.
    pub(super) fn models(&mut self, need: &Need) -> Scope {
        let allowed = &self.plugin.allow.models;
        let names = match need {
            Need::No => {
                if !allowed.is_none() {
                    self.unasked("models", "`models`");
                }
                return Scope::None;
            }
            Need::Any if allowed.is_none() => {
                self.missing.push("`models`".to_owned());
                self.wanted.models = Scope::All;
                return Scope::None;
            }
            Need::Any | Need::Optional => return allowed.clone(),
            Need::Names(names) => names,
        };
        let (granted, lacking): (Vec<String>, Vec<String>) = names.iter().cloned().partition(|name| allowed.has(name));
        let written = match allowed {
            Scope::Only(written) => written.as_slice(),
            Scope::None | Scope::All => &[],
        };
        let unused = |known: &&String| !names.iter().any(|name| covers(known, name) || covers(name, known));
        let beyond: Vec<String> = written.iter().filter(unused).cloned().collect();
        if !beyond.is_empty() {
            self.unasked("models", &format!("`models` for {}", quoted(&beyond)));
        }
        if !lacking.is_empty() {
            self.missing.push(format!("`models` for {}", quoted(&lacking)));
            self.wanted.models = Scope::Only(written.iter().cloned().chain(lacking).collect());
        }
        Scope::Only(granted)
    }
}
