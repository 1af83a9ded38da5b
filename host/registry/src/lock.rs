//! `registry.lock`: the digests of plugin files and models as they were when the operator took them in.
//!
//! A plugin that is built from a folder is not pinned: two compilers do not build the same bytes. Pins are by name and
//! file, so another file is another pin; the same file with another content is refused.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;

use crate::diagnostic::{Diagnostic, Report, Source, read};
use crate::digest::Digest;
use crate::names::Name;
use crate::reader::{self, Shape, Table, key_text, string_text};
use crate::registry::{Plugin, PluginSource, Registry};

const ROOT: Shape = Shape {
    known: &["version", "models", "plugins"],
    renamed: &[],
};
const PLUGIN: Shape = Shape {
    known: &["file", "sha256"],
    renamed: &[],
};

/// The format that this version writes and reads.
const VERSION: u64 = 1;

const HEADER: &str = "# Written by encaje; keep it under version control. A digest that no longer fits stops a load.\n\
                      # Remove an entry to take in a new version of what it pins.\n";

/// The pins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    /// By the plugin's name: its file and digest.
    plugins: BTreeMap<String, (String, Digest)>,
    /// By the model's name: each of its files and its digest.
    models: BTreeMap<String, BTreeMap<String, Digest>>,
}

/// Whether a digest was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin {
    /// It is the pinned one.
    Matches,
    /// Nothing was pinned; [`Lock::updated`] will.
    New,
    /// It is never pinned: it is built from a folder, or this version does not fetch it.
    Unpinned,
}

/// A lock brought up to date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pins {
    /// What to write.
    pub lock: Lock,
    /// Whether it differs from the one before.
    pub changed: bool,
    /// One sentence for each plugin that is not pinned.
    pub notes: Vec<String>,
}

/// A digest that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// The plugin's file is not the one that the registry names.
    #[error(
        "the plugin `{plugin}`: `{file}` hashes to {found}, and the registry says {declared}. If the file is meant, write \
         `sha256 = \"{found}\"` in its source"
    )]
    NotDeclared {
        /// The plugin.
        plugin: String,
        /// Its file.
        file: String,
        /// In the registry.
        declared: Digest,
        /// Of the file.
        found: Digest,
    },
    /// The plugin's file is not the one that was pinned.
    #[error(
        "the plugin `{plugin}`: `{file}` hashes to {found}, and registry.lock pins {locked}. If the new file is meant, \
         remove `[plugins.{plugin}]` from registry.lock"
    )]
    Plugin {
        /// The plugin.
        plugin: String,
        /// Its file.
        file: String,
        /// In the lock.
        locked: Digest,
        /// Of the file.
        found: Digest,
    },
    /// The registry names another digest than was pinned.
    #[error(
        "the model `{model}`: the registry says {found} for `{file}`, and registry.lock pins {locked}. If the new model is \
         meant, remove `[models.\"{model}\"]` from registry.lock"
    )]
    Model {
        /// The model.
        model: String,
        /// Its file.
        file: String,
        /// In the lock.
        locked: Digest,
        /// In the registry.
        found: Digest,
    },
}

impl Lock {
    /// Reads a lock's text.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(text: &str, origin_name: &str) -> Result<Self, Vec<Diagnostic>> {
        let report = Report::new(Source::new(origin_name, text));
        let lock = match reader::document(&report, text) {
            Some(document) => Self::walk(&Table::root(&report, &document, &ROOT)),
            None => Self::default(),
        };
        report.finish()?;
        Ok(lock)
    }

    /// Reads `registry.lock`; a missing file is an empty lock.
    ///
    /// # Errors
    /// As [`Lock::parse`]; and when the file is there and cannot be read.
    pub fn load(path: &Path) -> Result<Self, Vec<Diagnostic>> {
        if matches!(path.try_exists(), Ok(false)) {
            return Ok(Self::default());
        }
        Self::parse(&read(path, "the lock")?, &path.display().to_string())
    }

    fn walk(root: &Table<'_>) -> Self {
        let version = root.require("version", &format!("`version = {VERSION}`"));
        if let Some(node) = version
            && let Some(found) = node.integer(0..=u64::from(u32::MAX), &format!("`{VERSION}`"))
            && found != VERSION
        {
            let message = format!("the lock is of version {found}; this version of encaje reads {VERSION}");
            node.error(
                message,
                "use the version of encaje that wrote it, or remove the file to pin anew",
            );
        }
        let named = |section: &str, rule: Name| {
            root.get(section)
                .map(|node| node.entries(rule, "a table"))
                .unwrap_or_default()
        };
        let mut lock = Self::default();
        for (name, node) in named("plugins", Name::Plain) {
            let Some(table) = node.table(&PLUGIN, "`file` and `sha256`") else {
                continue;
            };
            let file = table
                .require("file", "`file = \"…\"`")
                .and_then(|node| node.text("a path"));
            let sha256 = table
                .require("sha256", "`sha256 = \"…\"`")
                .and_then(|node| node.digest());
            if let (Some(file), Some(sha256)) = (file, sha256) {
                lock.plugins.insert(name, (file.to_owned(), sha256));
            }
        }
        for (name, node) in named("models", Name::Model) {
            let files = node.entries(Name::Below, "`\"FILE\" = \"SHA-256\"`").into_iter();
            let files = files.filter_map(|(file, node)| Some((file, node.digest()?))).collect();
            lock.models.insert(name, files);
        }
        lock
    }

    /// The lock's text, in an order that does not depend on anything.
    pub fn to_toml(&self) -> String {
        let mut text = format!("{HEADER}version = {VERSION}\n");
        for (name, files) in &self.models {
            let _ = write!(text, "\n[models.{}]\n", key_text(name));
            for (file, digest) in files {
                let _ = writeln!(text, "{} = \"{digest}\"", string_text(file));
            }
        }
        for (name, (file, digest)) in &self.plugins {
            let _ = write!(
                text,
                "\n[plugins.{}]\nfile = {}\nsha256 = \"{digest}\"\n",
                key_text(name),
                string_text(file)
            );
        }
        text
    }

    /// Writes the lock beside its old self and puts it in its place in one step.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}.new", std::process::id()));
        let mut file = std::fs::File::create(&beside)?;
        let written = file.write_all(self.to_toml().as_bytes()).and_then(|()| file.sync_all());
        let placed = written.and_then(|()| std::fs::rename(&beside, path));
        if placed.is_err() {
            let _ = std::fs::remove_file(&beside);
        }
        placed
    }

    /// Asks whether a plugin's file is the one that it should be. `found` is what the file hashes to; it is not used for
    /// a plugin that is not a file.
    ///
    /// # Errors
    /// [`LockError::NotDeclared`] and [`LockError::Plugin`].
    pub fn check_plugin(&self, plugin: &Plugin, found: Digest) -> Result<Pin, LockError> {
        let PluginSource::File { path, sha256 } = &plugin.source else {
            return Ok(Pin::Unpinned);
        };
        let (name, file) = (plugin.name.clone(), path.clone());
        if let Some(declared) = sha256.filter(|declared| *declared != found) {
            return Err(LockError::NotDeclared {
                plugin: name,
                file,
                declared,
                found,
            });
        }
        match self.plugins.get(&plugin.name) {
            Some((pinned, locked)) if pinned == path && *locked != found => Err(LockError::Plugin {
                plugin: name,
                file,
                locked: *locked,
                found,
            }),
            Some((pinned, _)) if pinned == path => Ok(Pin::Matches),
            _ => Ok(Pin::New),
        }
    }

    /// Asks whether the digests that the registry gives its models are the pinned ones.
    ///
    /// # Errors
    /// One [`LockError::Model`] a file.
    pub fn check_models(&self, registry: &Registry) -> Result<(), Vec<LockError>> {
        let mut wrong = Vec::new();
        for (name, model) in &registry.models {
            for file in &model.files {
                let locked = self.models.get(name).and_then(|files| files.get(&file.path)).copied();
                if let Some(locked) = locked.filter(|locked| *locked != file.sha256) {
                    let (model, file, found) = (name.clone(), file.path.clone(), file.sha256);
                    wrong.push(LockError::Model {
                        model,
                        file,
                        locked,
                        found,
                    });
                }
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// The lock for a registry whose files have been checked: pins what is new, forgets what is no longer declared.
    /// `found` has the digest of each plugin's file by the plugin's name.
    pub fn updated(&self, registry: &Registry, found: &BTreeMap<String, Digest>) -> Pins {
        let mut lock = Self::default();
        let mut notes = Vec::new();
        for plugin in &registry.plugins {
            match &plugin.source {
                PluginSource::Path(path) => notes.push(format!(
                    "the plugin `{}` is built from `{path}` and not pinned: compilers do not agree to the byte",
                    plugin.name
                )),
                PluginSource::File { path, .. } => {
                    let before = self
                        .plugins
                        .get(&plugin.name)
                        .filter(|(file, _)| file == path)
                        .map(|(_, digest)| *digest);
                    if let Some(digest) = found.get(&plugin.name).copied().or(before) {
                        lock.plugins.insert(plugin.name.clone(), (path.clone(), digest));
                    }
                }
                PluginSource::Oci { .. } => {}
            }
        }
        for (name, model) in &registry.models {
            let files = model
                .files
                .iter()
                .map(|file| (file.path.clone(), file.sha256))
                .collect();
            lock.models.insert(name.clone(), files);
        }
        Pins {
            changed: lock != *self,
            lock,
            notes,
        }
    }
}
