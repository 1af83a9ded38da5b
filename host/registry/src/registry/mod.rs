//! The operator's registry, checked. What it means to a plugin is in `manifest`, what changed between two in `plan`.

mod allow;
mod check;
mod http;
mod model;
mod plugin;
mod route;
mod secret;
mod server;
mod supervision;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use encaje_core::generation::{Access, ApiKey};
use encaje_core::route::Routes;
use encaje_core::trace::PluginKind;

pub use allow::{Allow, Scope};
pub use http::{HostPort, HttpRule};
pub use model::{Model, ModelFile, ModelFormat, ModelSource};
pub use plugin::{Limits, OnError, Plugin, PluginSource};
pub use route::{CostMode, Route};
pub use secret::SecretBinding;
pub use server::{Database, Server, WhenStorageFails};
pub use supervision::{Breaker, Retry};

pub(crate) use allow::covers;
pub(crate) use plugin::{INSTANCES, kinds};
pub(crate) use secret::SECRET_EXAMPLE;

use crate::diagnostic::{Diagnostic, Report, Severity, Source, Span, read};
use crate::names::Name;
use crate::reader::{self, Node, Shape, Table};

const ROOT: Shape = Shape {
    known: &["server", "sources", "keys", "databases", "models", "plugins", "routes"],
    renamed: &[
        ("plugin", "`[plugins.NAME]`"),
        ("providers", "`[plugins.NAME]` with `kind = \"provider\"`"),
        (
            "storage",
            "`[server]` with `storage = \"NAME\"`, and the plugin under `[plugins.NAME]`",
        ),
        ("model", "`[models.NAME]`"),
        ("route", "`[routes.\"PATTERN\"]`"),
        ("routing", "`[routes.\"PATTERN\"]`"),
        ("api_keys", "`[keys.NAME]`"),
        ("auth", "`[keys.NAME]`"),
        ("listen", "`[server]` with `listen = \"127.0.0.1:8080\"`"),
    ],
};

/// A checked registry: every name in it is declared, every number within its bounds.
#[derive(Debug, Clone)]
pub struct Registry {
    /// `[server]`.
    pub server: Server,
    /// `[sources] hub`: the base address of the model hub, without a slash at its end.
    pub hub: Option<String>,
    /// `[keys.NAME]`, in the order of the text.
    pub keys: Vec<ApiKey>,
    /// `[databases.NAME]`.
    pub databases: BTreeMap<String, Database>,
    /// `[models.NAME]`.
    pub models: BTreeMap<String, Model>,
    /// `[plugins.NAME]`, in the order of the text, which is the order in which instruments run.
    pub plugins: Vec<Plugin>,
    /// `[routes."PATTERN"]`, in the order of the text.
    pub routes: Vec<Route>,
    /// What the operator should look at, though nothing is wrong.
    pub warnings: Vec<Diagnostic>,
    pub(crate) source: Arc<Source>,
    pub(crate) listen_at: Span,
}

impl Registry {
    /// Reads a registry's text. `origin_name` is how diagnostics name it, e.g. its path.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the text, at most [`crate::limits::MAX_DIAGNOSTICS`] of it. Warnings are
    /// in [`Registry::warnings`] of a registry that is right.
    pub fn parse(text: &str, origin_name: &str) -> Result<Self, Vec<Diagnostic>> {
        let source = Source::new(origin_name, text);
        let report = Report::new(Arc::clone(&source));
        let document = reader::document(&report, text);
        let registry = document.map(|document| Self::walk(&Table::root(&report, &document, &ROOT), &source));
        let warnings = report.finish()?;
        // Without an error, something was walked.
        registry
            .map(|registry| Self { warnings, ..registry })
            .ok_or_else(Vec::new)
    }

    /// Reads a registry's file.
    ///
    /// # Errors
    /// As [`Registry::parse`]; and when the file cannot be read, is no UTF-8 or is larger than
    /// [`crate::limits::MAX_FILE_BYTES`].
    pub fn load(path: &Path) -> Result<Self, Vec<Diagnostic>> {
        Self::parse(&Self::read_text(path)?, &path.display().to_string())
    }

    /// The text of a registry's file, for who needs it beside what it says.
    ///
    /// # Errors
    /// When the file cannot be read, is no UTF-8 or is larger than [`crate::limits::MAX_FILE_BYTES`].
    pub fn read_text(path: &Path) -> Result<String, Vec<Diagnostic>> {
        read(path, "the registry")
    }

    fn walk(root: &Table<'_>, source: &Arc<Source>) -> Self {
        let report = root.report;
        let named = |section: &str, rule: Name, example: &str| -> Vec<(String, Node<'_>)> {
            root.get(section)
                .map(|node| node.entries(rule, example))
                .unwrap_or_default()
        };
        let server_node = root.get("server");
        let hub = root.get("sources").and_then(|node| server::sources(&node));
        let keys = root.get("keys").map(|node| server::keys(&node)).unwrap_or_default();
        let databases = named("databases", Name::Plain, "`[databases.NAME]`");
        let databases = databases
            .iter()
            .filter_map(|(name, node)| Some((name.clone(), Database::read(node)?)))
            .collect();
        let models = named("models", Name::Model, "`[models.NAME]`");
        let models = models
            .iter()
            .filter_map(|(name, node)| Some((name.clone(), Model::read(name, node)?)))
            .collect();
        let declared = named("plugins", Name::Plain, "`[plugins.NAME]`");
        let plugins = declared
            .iter()
            .filter_map(|(name, node)| Plugin::read(name, node))
            .collect();
        let routes = named("routes", Name::Pattern, "`[routes.\"PATTERN\"]`");
        let routes = routes
            .iter()
            .filter_map(|(pattern, node)| Route::read(pattern, node))
            .collect();
        let (server, listen_at) = Server::read(server_node.as_ref());
        let source = Arc::clone(source);
        let mut registry = Self {
            server,
            hub,
            keys,
            databases,
            models,
            plugins,
            routes,
            warnings: Vec::new(),
            source,
            listen_at,
        };
        check::check(&mut registry, root, report, &declared);
        registry
    }

    /// The plugin of this name.
    pub fn plugin(&self, name: &str) -> Option<&Plugin> {
        self.plugins.iter().find(|plugin| plugin.name == name)
    }

    /// The plugins of one kind, in the order of the text.
    pub fn plugins_of(&self, kind: PluginKind) -> impl Iterator<Item = &Plugin> {
        self.plugins.iter().filter(move |plugin| plugin.kind == kind)
    }

    /// The plugin that keeps the ledger.
    pub fn storage(&self) -> Option<&Plugin> {
        self.plugin(&self.server.storage)
    }

    /// Every secret that some plugin may be allowed, for [`crate::Secrets::load`].
    pub fn secret_names(&self) -> BTreeSet<&str> {
        let secrets = self.plugins.iter().flat_map(|plugin| plugin.allow.secrets.keys());
        secrets.map(String::as_str).collect()
    }

    /// The routes as the flow takes them.
    pub fn core_routes(&self) -> Routes {
        Routes::new(self.routes.iter().map(Route::to_core).collect())
    }

    /// Who may call: whoever shows a declared key; everybody where none is declared, which [`Registry::parse`] and
    /// [`Registry::refuse_open_listen`] accept on a loopback address only.
    pub fn access(&self) -> Access {
        if self.keys.is_empty() {
            Access::Anonymous
        } else {
            Access::Keys(self.keys.clone())
        }
    }

    /// Names as [`Registry::parse`] was given it.
    pub fn origin(&self) -> &str {
        &self.source.origin
    }

    /// What this version of the server parses and cannot do: an error for what keeps a plugin from loading, a warning
    /// for a setting without effect.
    pub fn unsupported(&self) -> Vec<Diagnostic> {
        check::unsupported(self)
    }

    /// An error at a plugin's place in the registry, for a load that failed; `None` for a name that is not declared.
    pub fn plugin_error(&self, name: &str, message: &str, fix: &str) -> Option<Diagnostic> {
        let plugin = self.plugin(name)?;
        Some(self.diagnostic(Severity::Error, plugin.at, message.to_owned(), fix.to_owned()))
    }

    /// An error at a plugin's `source`, for a build or a file that failed; `None` for a name that is not declared.
    pub fn plugin_source_error(&self, name: &str, message: &str, fix: &str) -> Option<Diagnostic> {
        let plugin = self.plugin(name)?;
        Some(self.diagnostic(Severity::Error, plugin.source_at, message.to_owned(), fix.to_owned()))
    }

    pub(crate) fn diagnostic(&self, severity: Severity, at: Span, message: String, fix: String) -> Diagnostic {
        self.source.diagnostic(severity, at, message, Some(fix))
    }
}
