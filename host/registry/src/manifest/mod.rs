//! A plugin's manifest, `plugin.toml`: what its publisher says of it and what it needs. The same text stands in the
//! component's custom section. What the operator makes of it is in [`grants`].

mod config;
mod deciding;
mod grants;
mod requires;

use std::path::Path;

use encaje_core::trace::PluginKind;
use serde::Serialize;
use serde_json::Value;

pub use grants::{Grants, Resolved};
pub use requires::{MetricDeclaration, MetricKind, Need, Requires};

use crate::diagnostic::{Diagnostic, Report, Source, quoted, read};
use crate::names::Name;
use crate::reader::{self, Node, Shape, Table};
use crate::registry::{INSTANCES, kinds};

/// The version of the contracts (`wit/`) that this host speaks.
pub const WIT_VERSION: &str = "0.1";

/// The version before it, which this host serves beside it. It had providers alone.
pub const PREVIOUS_WIT_VERSION: &str = "0.0";

const MANIFEST: Shape = Shape {
    known: &[
        "name",
        "version",
        "kind",
        "publisher",
        "license",
        "description",
        "wit",
        "build",
        "instance",
        "requires",
        "metrics",
        "config",
    ],
    renamed: &[
        ("type", "`kind`"),
        ("licence", "`license`"),
        ("author", "`publisher`"),
        ("authors", "`publisher`"),
        ("allow", "`[requires]`: what is allowed is the operator's to say"),
        ("permissions", "`[requires]`"),
        ("capabilities", "`[requires]`"),
        ("schema", "`[config]`"),
        ("config_schema", "`[config]`"),
        ("wit_version", "`wit`"),
        ("language", "`build = { language = \"rust\" }`"),
    ],
};

const BUILD: Shape = Shape {
    // The entry is the builder's matter; it is not looked at here.
    known: &["language", "entry"],
    renamed: &[("lang", "`language`"), ("tool", "`language`")],
};

/// How instances are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Instance {
    /// A fresh one for each call, until its last resource is dropped: nothing leaks between tenants.
    #[default]
    PerCall,
    /// Reused; discarded after a number of uses, on a trap, a timeout and a cancellation.
    Warm,
}

impl Instance {
    /// As the registry and manifests spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PerCall => "per-call",
            Self::Warm => "warm",
        }
    }
}

/// The language that a plugin's sources are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Built by cargo.
    Rust,
    /// Python.
    Python,
    /// JavaScript or TypeScript.
    JavaScript,
    /// Go.
    Go,
    /// C or C++.
    C,
    /// Zig.
    Zig,
}

const LANGUAGES: [(&str, Language); 8] = [
    ("rust", Language::Rust),
    ("python", Language::Python),
    ("javascript", Language::JavaScript),
    ("typescript", Language::JavaScript),
    ("go", Language::Go),
    ("c", Language::C),
    ("cpp", Language::C),
    ("zig", Language::Zig),
];

/// How a plugin is built from its folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Build {
    /// What it is written in.
    pub language: Language,
}

/// A checked manifest.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The publisher's name for it; the registry may call it otherwise.
    pub name: String,
    /// Semantic.
    pub version: String,
    /// What it exports.
    pub kind: PluginKind,
    /// The version of the contracts that it was built for: [`WIT_VERSION`] or [`PREVIOUS_WIT_VERSION`].
    pub wit: &'static str,
    /// Who made it.
    pub publisher: String,
    /// An SPDX expression.
    pub license: String,
    /// One sentence.
    pub description: String,
    /// How to build it; `None` for what comes built.
    pub build: Option<Build>,
    /// How its instances are kept.
    pub instance: Instance,
    /// What it needs.
    pub requires: Requires,
    /// The metrics that it may write, by name.
    pub metrics: Vec<MetricDeclaration>,
    /// The JSON Schema of its `config`; an object that takes no other keys than it names.
    pub config_schema: Value,
    pub(crate) origin: String,
}

impl Manifest {
    /// A `config`, a JSON object, for the plugin outside of a registry: checked, with the defaults filled in.
    ///
    /// # Errors
    /// What the schema refuses, in words.
    pub fn configured(&self, config: Value) -> Result<Value, String> {
        config::alone(&self.config_schema, config)
    }

    /// Reads a manifest's text. `origin_name` is how diagnostics name it, e.g. its path.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the text.
    pub fn parse(text: &str, origin_name: &str) -> Result<Self, Vec<Diagnostic>> {
        let report = Report::new(Source::new(origin_name, text));
        let manifest = match reader::document(&report, text) {
            Some(document) => Self::walk(&Table::root(&report, &document, &MANIFEST), origin_name),
            None => None,
        };
        report.finish()?;
        // Without an error, everything was there.
        manifest.ok_or_else(Vec::new)
    }

    /// Reads `plugin.toml`.
    ///
    /// # Errors
    /// As [`Manifest::parse`]; and when the file cannot be read, is no UTF-8 or is too large.
    pub fn load(path: &Path) -> Result<Self, Vec<Diagnostic>> {
        Self::parse(&read(path, "the manifest")?, &path.display().to_string())
    }

    fn walk(root: &Table<'_>, origin: &str) -> Option<Self> {
        let named = |key: &str, rule: Name, example: &str| {
            root.require(key, &format!("`{key} = {example}`"))
                .and_then(|node| node.name(rule, example))
        };
        let said = |key: &str, example: &str| {
            root.require(key, &format!("`{key} = {example}`"))
                .filter(|node| node.text(example).is_some())
                .and_then(|node| node.line(example))
                .map(str::to_owned)
        };
        let name = named("name", Name::Plain, "\"provider-x\"");
        let version = named("version", Name::Version, "\"0.1.0\"");
        let kind = root
            .require("kind", "`kind = \"provider\"`")
            .and_then(|node| node.word(&kinds()));
        let publisher = said("publisher", "\"acme\"");
        let license = said("license", "\"MIT\"");
        let description = said("description", "\"What it does, in a sentence\"");
        let wit = root
            .require("wit", &format!("`wit = \"{WIT_VERSION}\"`"))
            .and_then(|node| wit(&node, kind));
        let build = root.get("build").map(|node| build(&node));
        let instance = root
            .get("instance")
            .and_then(|node| node.word(&INSTANCES))
            .unwrap_or_default();
        let requires = root
            .get("requires")
            .map(|node| Requires::read(&node))
            .unwrap_or_default();
        let metrics = root
            .get("metrics")
            .map(|node| requires::metrics(&node))
            .unwrap_or_default();
        requires::metrics_agree(root, &requires, &metrics);
        let config_schema = config::schema(root);
        Some(Self {
            name: name?,
            version: version?,
            kind: kind?,
            wit: wit?,
            publisher: publisher?,
            license: license?,
            description: description?,
            build: match build {
                Some(build) => Some(build?),
                None => None,
            },
            instance,
            requires,
            metrics,
            config_schema: config_schema?,
            origin: origin.to_owned(),
        })
    }

    /// The name that diagnostics give it.
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

fn wit(node: &Node<'_>, kind: Option<PluginKind>) -> Option<&'static str> {
    let text = node.text(&format!("`\"{WIT_VERSION}\"`"))?;
    let wrong = match (text, kind) {
        (WIT_VERSION, _) => return Some(WIT_VERSION),
        (PREVIOUS_WIT_VERSION, None | Some(PluginKind::Provider)) => return Some(PREVIOUS_WIT_VERSION),
        (PREVIOUS_WIT_VERSION, Some(kind)) => {
            format!(
                "version {PREVIOUS_WIT_VERSION} of the contracts had no {}",
                kind.as_str()
            )
        }
        _ => format!(
            "the plugin is built for version {} of the contracts, this host speaks {WIT_VERSION} and, for providers, \
             {PREVIOUS_WIT_VERSION}",
            quoted(text)
        ),
    };
    node.error(
        wrong,
        format!("build it against `wit = \"{WIT_VERSION}\"`, or use another version of the host"),
    );
    None
}

fn build(node: &Node<'_>) -> Option<Build> {
    let example = "`build = { language = \"rust\" }`";
    let table = node.table(&BUILD, example)?;
    Some(Build {
        language: table.require("language", example)?.word(&LANGUAGES)?,
    })
}
