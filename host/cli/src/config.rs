//! Registry, settings and folders, found and checked; every subcommand starts here.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use encaje_registry::{Environment, Flags, Registry, Settings, render};
use encaje_supply::{EncajeHome, HomeError};

use crate::args::Common;

/// What the operator wrote, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the registry lies.
    pub path: PathBuf,
    /// Relative paths of the registry start here.
    pub folder: PathBuf,
    /// The registry's text.
    pub text: String,
    /// The registry.
    pub registry: Registry,
    /// Its settings, with those of the command line and the environment.
    pub settings: Settings,
    /// Downloads and builds.
    pub home: EncajeHome,
}

impl Config {
    /// Reads everything.
    ///
    /// # Errors
    /// All that is wrong with the registry, rendered; settings that are no good.
    pub fn load(common: &Common, listen: Option<std::net::SocketAddr>) -> Result<Self> {
        let (path, folder) = place(common)?;
        let (text, registry) = read_registry(&path)?;
        Self::resolve(common, listen, (path, folder), (text, registry), EncajeHome::at)
    }

    /// The same, and nothing is made: for commands that only look.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn to_look_at(common: &Common) -> Result<Self> {
        let (path, folder) = place(common)?;
        let read = read_registry(&path)?;
        Self::resolve(common, None, (path, folder), read, EncajeHome::to_look_at)
    }

    /// What holds without a registry: flags, environment, defaults. Nothing is made.
    ///
    /// # Errors
    /// Settings that are no good.
    pub fn without_registry(common: &Common) -> Result<Self> {
        // The least that is one; it sets nothing that has an origin.
        let text = "[server]\nstorage = \"store\"\n[plugins.store]\nkind = \"storage\"\nsource = { file = \"-\" }\n\
                    [plugins.none]\nkind = \"provider\"\nsource = { file = \"-\" }\n[routes.\"*\"]\nto = [{ plugin = \"none\" }]\n";
        let registry = Registry::parse(text, "none").map_err(|wrong| anyhow!("{}", render(&wrong)))?;
        let read = (text.to_owned(), registry);
        Self::resolve(common, None, place(common)?, read, EncajeHome::to_look_at)
    }

    fn resolve(
        common: &Common,
        listen: Option<std::net::SocketAddr>,
        (path, folder): (PathBuf, PathBuf),
        (text, registry): (String, Registry),
        home: impl FnOnce(PathBuf) -> Result<EncajeHome, HomeError>,
    ) -> Result<Self> {
        let environment = Environment::of_process();
        for unknown in environment.unknown() {
            tracing::warn!("{unknown}");
        }
        let flags = Flags {
            home: common.home.clone(),
            data: common.data.clone(),
            listen,
        };
        let settings = Settings::resolve(&flags, &environment, &registry, &folder)
            .map_err(|errors| anyhow!(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))?;
        registry
            .refuse_open_listen(settings.listen.value)
            .map_err(|refused| anyhow!("{refused}"))?;
        let home = home(settings.home.value.clone())?;
        Ok(Self {
            path,
            folder,
            text,
            registry,
            settings,
            home,
        })
    }
}

/// The registry's path and folder.
fn place(common: &Common) -> Result<(PathBuf, PathBuf)> {
    let path = std::path::absolute(&common.registry)
        .with_context(|| format!("the registry's path `{}` is no path", common.registry.display()))?;
    let folder = path.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    Ok((path, folder))
}

/// Reads a registry's file; warnings go to the log.
///
/// # Errors
/// All that is wrong with it, rendered.
pub fn load_registry(path: &Path) -> Result<Registry> {
    read_registry(path).map(|(_, registry)| registry)
}

/// The text and what it says, read once, so that both are the same.
fn read_registry(path: &Path) -> Result<(String, Registry)> {
    if !path.exists() {
        bail!(
            "there is no registry at `{}`: run this in a folder that has a `registry.toml`, or name one with --registry",
            path.display()
        );
    }
    let text = Registry::read_text(path).map_err(|wrong| anyhow!("{}", render(&wrong)))?;
    let registry =
        Registry::parse(&text, &path.display().to_string()).map_err(|wrong| anyhow!("{}", render(&wrong)))?;
    for warning in &registry.warnings {
        tracing::warn!("{warning}");
    }
    Ok((text, registry))
}
