//! From a checked registry to a generation that serves: artifacts, databases, native models, plugins, checks.
//!
//! Nothing of a running generation is touched until the next one is whole: compiled, configured, checked and, for the
//! storage, migrated.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use encaje_capabilities::kv::Kv;
use encaje_capabilities::sql::{Databases, SqliteSource};
use encaje_core::generation::{Generation, Instrumented, PluginEntry, Provided};
use encaje_core::ports::{SharedProvider, SharedStorage, Storage as _};
use encaje_core::supervise::Supervisor;
use encaje_core::{Call, schema};
use encaje_inference::{Format, LocalModels, ModelLimits, ModelSpec};
use encaje_registry::{
    Digest, Instance, Lock, ModelFormat, OnError, Plugin, PluginSource, Registry, Resolved, Secrets, render,
};
use encaje_runtime::Runtime;
use encaje_runtime::engine::Allocation;
use encaje_supply::Progress;
use encaje_supply::models::Check;
use tokio::task::spawn_blocking;

use crate::artifacts::{self, Compile, Component};
use crate::config::Config;
use crate::limits;
use crate::plugins::{self, Port};

/// A loaded plugin, and everything that it depends on, so that an unchanged one is kept across generations.
#[derive(Clone)]
struct Loaded {
    depends_on: String,
    wasm: Arc<[u8]>,
    port: Port,
    supervisor: Arc<Supervisor>,
    version: String,
    digest: String,
    warm: bool,
}

impl Loaded {
    fn entry(&self) -> PluginEntry {
        PluginEntry {
            observed: self.port.observed(),
            supervisor: Arc::clone(&self.supervisor),
            version: self.version.clone(),
            digest: self.digest.clone(),
            warm: self.warm,
        }
    }
}

/// What lives as long as the server and makes its generations.
pub struct Composer {
    runtime: Runtime,
    models: Arc<LocalModels>,
    kv: Option<Kv>,
    progress: Arc<dyn Progress>,
    /// What the running generation is made of.
    databases: Databases,
    loaded: BTreeMap<String, Loaded>,
    number: u64,
}

/// A generation that is whole, and what its composer remembers once it serves.
pub struct Composed {
    /// To be put in place.
    pub generation: Generation,
    /// What the migration did, in words.
    pub migrated: Vec<String>,
    /// Whether any plugin is another than the one that serves.
    pub changed: bool,
    models: Arc<LocalModels>,
    databases: Databases,
    loaded: BTreeMap<String, Loaded>,
}

/// What a registry's plugins are given, beside what runs already.
pub(crate) struct Surroundings<'a> {
    pub(crate) config: &'a Config,
    pub(crate) databases: Databases,
    pub(crate) models: Arc<LocalModels>,
    pub(crate) secrets: Secrets,
    /// What `models` is made of; where it changes, a plugin that uses them is another.
    declared: Vec<ModelSpec>,
}

impl Composer {
    /// The parts that all generations share.
    ///
    /// # Errors
    /// A machine that cannot run the sandbox; folders that cannot be made.
    pub fn new(config: &Config, progress: Arc<dyn Progress>) -> Result<Self> {
        let runtime = Runtime::new(config.home.root().join("compiled"), Allocation::PooledIfPossible)?;
        Ok(Self {
            runtime,
            models: Arc::new(LocalModels::new(Vec::new())?),
            kv: None,
            progress,
            databases: Databases::default(),
            loaded: BTreeMap::new(),
            number: 0,
        })
    }

    /// Makes the next generation, and serves nothing of it yet.
    ///
    /// # Errors
    /// Whatever keeps it from being whole; what runs is untouched then.
    pub async fn compose(&mut self, config: &Config, compile: Compile) -> Result<Composed> {
        let registry = &config.registry;
        let (refused, warned): (Vec<_>, Vec<_>) = registry
            .unsupported()
            .into_iter()
            .partition(encaje_registry::Diagnostic::is_error);
        if !refused.is_empty() {
            bail!("{}", render(&refused));
        }
        for warning in &warned {
            tracing::warn!("{warning}");
        }
        let lock_path = lock_path(config);
        let lock = load_lock(&lock_path)?;
        lock.check_models(registry)
            .map_err(|wrong| anyhow!(wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))?;
        let mut components = BTreeMap::new();
        for plugin in &registry.plugins {
            components.insert(
                plugin.name.clone(),
                self.component(config, plugin, &lock, compile).await?,
            );
        }
        let declared = self.models_of(config).await?;
        let around = Surroundings {
            config,
            databases: self.open_databases(config).await?,
            models: Arc::new(self.models.with(declared.clone())),
            secrets: plugins::secrets(config)?,
            declared,
        };
        let mut loaded = BTreeMap::new();
        for plugin in &registry.plugins {
            let Some(component) = components.remove(&plugin.name) else {
                continue;
            };
            let one = self.load(&around, plugin, component).await?;
            loaded.insert(plugin.name.clone(), one);
        }
        let (generation, migrated) = self.generation(registry, &loaded).await?;
        pin(config, &lock, &lock_path, &loaded)?;
        let changed = loaded.len() != self.loaded.len()
            || loaded.iter().any(|(name, one)| {
                self.loaded
                    .get(name)
                    .is_none_or(|running| running.depends_on != one.depends_on)
            });
        Ok(Composed {
            generation,
            migrated,
            changed,
            models: around.models,
            databases: around.databases,
            loaded,
        })
    }

    /// Remembers what serves now, so that the next generation shares what has not changed.
    pub fn serves(&mut self, composed: Composed) -> Generation {
        self.models = composed.models;
        self.databases = composed.databases;
        self.loaded = composed.loaded;
        self.number = composed.generation.number;
        composed.generation
    }

    /// Closes what outlives the generations: databases with their logs written back.
    pub async fn close(&self) {
        self.databases.close().await;
        if let Some(kv) = &self.kv {
            kv.close().await;
        }
    }

    async fn component(&self, config: &Config, plugin: &Plugin, lock: &Lock, compile: Compile) -> Result<Component> {
        if compile == Compile::Never
            && matches!(plugin.source, PluginSource::Path(_))
            && let Some(component) = self.built_before(config, plugin)?
        {
            return Ok(component);
        }
        let (home, folder) = (config.home.clone(), config.folder.clone());
        let (plugin, lock, progress) = (plugin.clone(), lock.clone(), Arc::clone(&self.progress));
        let name = plugin.name.clone();
        spawn_blocking(move || artifacts::component_of(&home, &folder, &plugin, &lock, progress.as_ref()))
            .await?
            .with_context(|| format!("the plugin `{name}` cannot be loaded"))
    }

    /// What serves already under this name from the same folder: a change of the registry compiles nothing.
    fn built_before(&self, config: &Config, plugin: &Plugin) -> Result<Option<Component>> {
        let Some(loaded) = self.loaded.get(&plugin.name) else {
            return Ok(None);
        };
        let same_source = loaded.depends_on.starts_with(&source_line(config, plugin));
        if !same_source {
            return Ok(None);
        }
        let text = encaje_supply::build::component::read_manifest(&loaded.wasm)?
            .with_context(|| format!("the plugin `{}` carries no manifest", plugin.name))?;
        let manifest = encaje_registry::Manifest::parse(&text, "the loaded plugin's manifest")
            .map_err(|wrong| anyhow!("{}", render(&wrong)))?;
        Ok(Some(Component {
            wasm: loaded.wasm.to_vec(),
            digest: Digest::of(&loaded.wasm),
            manifest,
        }))
    }

    /// The models of a registry, fetched where they are not here.
    async fn models_of(&self, config: &Config) -> Result<Vec<ModelSpec>> {
        let progress = Arc::clone(&self.progress);
        let paths = artifacts::models(
            &config.home,
            &config.folder,
            &config.registry,
            &[],
            Check::Quick,
            progress,
        )
        .await?;
        let specs = config.registry.models.values().filter_map(|model| {
            let path = paths.get(&model.name)?.clone();
            let format = match model.format {
                ModelFormat::Gguf => Format::Gguf,
                ModelFormat::SentenceTransformer => Format::SentenceTransformer,
            };
            let limits = ModelLimits {
                context_tokens: model.context.and_then(|tokens| usize::try_from(tokens).ok()),
                waiting: usize::try_from(model.queue).unwrap_or(usize::MAX),
                ..ModelLimits::default()
            };
            Some(ModelSpec {
                id: model.name.clone(),
                format,
                path,
                limits,
            })
        });
        Ok(specs.collect())
    }

    async fn open_databases(&self, config: &Config) -> Result<Databases> {
        let declared = &config.registry.databases;
        let sources: Vec<_> = declared
            .iter()
            .map(|(name, database)| {
                (
                    name.clone(),
                    SqliteSource {
                        file: database.sqlite.clone().into(),
                    },
                )
            })
            .collect();
        let (running, data) = (self.databases.clone(), config.settings.data.value.clone());
        Ok(spawn_blocking(move || running.reopen(&data, sources)).await??)
    }

    async fn load(&mut self, around: &Surroundings<'_>, plugin: &Plugin, component: Component) -> Result<Loaded> {
        let config = around.config;
        let resolved = config
            .registry
            .resolve(plugin, &component.manifest)
            .map_err(|wrong| anyhow!("{}", render(&wrong)))?;
        for warning in &resolved.warnings {
            tracing::warn!("{warning}");
        }
        let secrets = around.secrets_of(&resolved);
        let depends_on = format!(
            "{}\n{}\n{:?}\n{:?}\n{:?}\n{:?} {:?} {:?}\n{:?}\n{:?}\n{secrets}",
            source_line(config, plugin),
            component.digest,
            resolved.grants,
            resolved.config,
            resolved.instance,
            plugin.limits,
            plugin.retry,
            plugin.breaker,
            config.registry.databases,
            (!resolved.grants.inference.is_empty()).then_some(&around.declared),
        );
        if let Some(same) = self
            .loaded
            .get(&plugin.name)
            .filter(|loaded| loaded.depends_on == depends_on)
        {
            return Ok(same.clone());
        }
        if resolved.grants.kv && self.kv.is_none() {
            self.kv = Some(Kv::open(&config.settings.data.value).await?);
        }
        let wasm: Arc<[u8]> = component.wasm.into();
        let capabilities = plugins::capabilities(plugin, &resolved, around, self.kv.as_ref())?;
        let port = plugins::start(&self.runtime, plugin, &resolved, Arc::clone(&wasm), capabilities).await?;
        Ok(Loaded {
            depends_on,
            wasm,
            port,
            supervisor: plugins::supervisor(plugin),
            version: component.manifest.version.to_string(),
            digest: component.digest.to_string(),
            warm: resolved.instance == Instance::Warm,
        })
    }

    async fn generation(
        &self,
        registry: &Registry,
        loaded: &BTreeMap<String, Loaded>,
    ) -> Result<(Generation, Vec<String>)> {
        let mut providers = BTreeMap::new();
        let (mut instruments, mut entries) = (Vec::new(), Vec::new());
        let mut storage = None;
        // In the order of the text, which is the order in which instruments run.
        for plugin in &registry.plugins {
            let Some(one) = loaded.get(&plugin.name) else { continue };
            let supervisor = Arc::clone(&one.supervisor);
            entries.push(one.entry());
            match &one.port {
                Port::Provider(provider) => {
                    let port: SharedProvider = Arc::clone(provider) as _;
                    providers.insert(plugin.name.clone(), Provided { port, supervisor });
                }
                Port::Storage(store) if plugin.name == registry.server.storage => {
                    storage = Some(Arc::clone(store) as SharedStorage);
                }
                Port::Instrumentor(instrumentor) => instruments.push(Instrumented {
                    port: Arc::clone(instrumentor) as _,
                    supervisor,
                    required: plugin.on_error == OnError::Fail,
                }),
                Port::Storage(_) | Port::Evaluator(_) | Port::Retriever(_) | Port::Source(_) => {}
            }
        }
        let storage = storage.context("the registry declares no storage plugin: add one, and `[server] storage`")?;
        let migrated = storage
            .migrate(&Call::of_server(limits::MIGRATE), &schema::tables())
            .await?;
        let generation = Generation {
            number: self.number + 1,
            providers,
            instruments,
            storage,
            plugins: entries,
            routes: registry.core_routes(),
            access: registry.access(),
        };
        Ok((generation, migrated))
    }
}

impl Surroundings<'_> {
    /// Which of a plugin's secrets have which values, as one digest: a key that was changed makes another plugin.
    fn secrets_of(&self, resolved: &Resolved) -> Digest {
        let names = resolved.grants.secrets.keys();
        let values = names.map(|name| format!("{name}={}\n", self.secrets.get(name).unwrap_or_default()));
        Digest::of(values.collect::<String>().as_bytes())
    }
}

/// The storage plugin of a registry alone, for commands that read the ledger beside a server.
///
/// # Errors
/// As [`Composer::compose`], for that plugin.
pub async fn storage_alone(config: &Config, progress: Arc<dyn Progress>) -> Result<SharedStorage> {
    let mut composer = Composer::new(config, progress)?;
    let plugin = config
        .registry
        .storage()
        .context("the registry declares no storage plugin")?;
    let lock = load_lock(&lock_path(config))?;
    let component = composer.component(config, plugin, &lock, Compile::Allowed).await?;
    let around = Surroundings {
        config,
        databases: composer.open_databases(config).await?,
        models: Arc::clone(&composer.models),
        secrets: plugins::secrets(config)?,
        declared: Vec::new(),
    };
    let loaded = composer.load(&around, plugin, component).await?;
    match loaded.port {
        Port::Storage(storage) => {
            // A store that no server has used yet reads as empty.
            storage
                .migrate(&Call::of_server(limits::MIGRATE), &schema::tables())
                .await?;
            Ok(storage)
        }
        _ => bail!("the plugin `{}` is no storage", plugin.name),
    }
}

fn source_line(config: &Config, plugin: &Plugin) -> String {
    format!("{} {:?} {:?}", config.folder.display(), plugin.kind, plugin.source)
}

fn lock_path(config: &Config) -> PathBuf {
    config.path.with_extension("lock")
}

/// What was pinned; nothing where no server has run yet.
fn load_lock(path: &Path) -> Result<Lock> {
    if path.exists() {
        Lock::load(path).map_err(|wrong| anyhow!("{}", render(&wrong)))
    } else {
        Ok(Lock::default())
    }
}

/// Brings `registry.lock` up to date with what was found.
fn pin(config: &Config, lock: &Lock, path: &Path, loaded: &BTreeMap<String, Loaded>) -> Result<()> {
    let found = loaded
        .iter()
        .map(|(name, one)| (name.clone(), Digest::of(&one.wasm)))
        .collect();
    let pins = lock.updated(&config.registry, &found);
    if pins.changed
        && let Err(error) = pins.lock.save(path)
    {
        tracing::warn!(%error, "registry.lock cannot be written; nothing is pinned");
    }
    Ok(())
}
