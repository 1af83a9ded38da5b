//! From a checked registry to a generation that serves: artifacts, databases, native models, plugins, checks.
//!
//! Nothing of a running generation is touched until the next one is whole: compiled, configured, checked and, for the
//! storage, migrated.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use encaje_capabilities::kv::Kv;
use encaje_capabilities::sql::{Databases, SqliteSource};
use encaje_core::generation::Generation;
use encaje_core::ports::{Inference, SharedProvider, SharedStorage};
use encaje_core::trace::PluginKind;
use encaje_core::{Call, schema};
use encaje_inference::{Format, LocalModels, ModelLimits, ModelSpec};
use encaje_registry::{
    Digest, Instance, Lock, MetricKind, ModelFormat, Plugin, PluginSource, Registry, Resolved, render,
};
use encaje_runtime::engine::Allocation;
use encaje_runtime::{Capabilities, MetricSpec, PluginLimits, PluginSpec, ProviderPlugin, Runtime, StoragePlugin};
use encaje_supply::Progress;
use encaje_supply::models::Check;
use tokio::task::spawn_blocking;

use crate::artifacts::{self, Compile, Component};
use crate::config::Config;
use crate::limits;

/// A loaded plugin, and everything that it depends on, so that an unchanged one is kept across generations.
#[derive(Clone)]
struct Loaded {
    depends_on: String,
    wasm: Arc<[u8]>,
    port: Port,
}

#[derive(Clone)]
enum Port {
    Provider(SharedProvider),
    Storage(SharedStorage),
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
struct Surroundings<'a> {
    config: &'a Config,
    databases: Databases,
    models: Arc<LocalModels>,
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
        let lock_path = config.path.with_extension("lock");
        let lock = if lock_path.exists() {
            Lock::load(&lock_path).map_err(|wrong| anyhow!("{}", render(&wrong)))?
        } else {
            Lock::default()
        };
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
        if resolved.instance == Instance::Warm {
            bail!(
                "the plugin `{}` asks for warm instances, which this version does not keep: use per-call",
                plugin.name
            );
        }
        let depends_on = format!(
            "{}\n{}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}",
            source_line(config, plugin),
            component.digest,
            resolved.grants,
            resolved.config,
            plugin.limits,
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
        let wasm: Arc<[u8]> = component.wasm.into();
        let capabilities = self.capabilities(around, &resolved).await?;
        let port = self.start(plugin, &resolved, Arc::clone(&wasm), capabilities).await?;
        Ok(Loaded { depends_on, wasm, port })
    }

    async fn capabilities(&mut self, around: &Surroundings<'_>, resolved: &Resolved) -> Result<Capabilities> {
        let grants = &resolved.grants;
        let mut sql = BTreeMap::new();
        for name in &grants.sql {
            let database = around
                .databases
                .get(name)
                .with_context(|| format!("there is no database `{name}`"))?;
            sql.insert(name.clone(), database.clone());
        }
        if grants.kv && self.kv.is_none() {
            self.kv = Some(Kv::open(&around.config.settings.data.value).await?);
        }
        let inference: Arc<dyn Inference> = Arc::clone(&around.models) as Arc<dyn Inference>;
        let metrics = grants.metrics.iter().map(|metric| {
            let spec = MetricSpec {
                histogram: metric.kind == MetricKind::Histogram,
                labels: metric.labels.clone(),
            };
            (metric.name.clone(), spec)
        });
        Ok(Capabilities {
            sql,
            kv: self.kv.clone().filter(|_| grants.kv),
            inference: (!grants.inference.is_empty()).then(|| (inference, grants.inference.clone())),
            metrics: metrics.collect(),
        })
    }

    async fn start(
        &self,
        plugin: &Plugin,
        resolved: &Resolved,
        wasm: Arc<[u8]>,
        capabilities: Capabilities,
    ) -> Result<Port> {
        let spec = PluginSpec {
            name: plugin.name.clone(),
            kind: plugin.kind,
            wasm: wasm.to_vec(),
            config: resolved.config.to_string(),
            capabilities,
            limits: limits(plugin)?,
        };
        let runtime = self.runtime.clone();
        let started = std::time::Instant::now();
        let failed = || format!("the plugin `{}` cannot be started", plugin.name);
        let kind = plugin.kind;
        let loaded = spawn_blocking(move || encaje_runtime::Plugin::load(&runtime, spec))
            .await?
            .with_context(failed)?;
        let port = match kind {
            PluginKind::Provider => Port::Provider(Arc::new(ProviderPlugin::start(loaded).await.with_context(failed)?)),
            PluginKind::Storage => Port::Storage(Arc::new(StoragePlugin::start(loaded).await.with_context(failed)?)),
            other => bail!(
                "the plugin `{}` is of kind `{}`, which this version does not run",
                plugin.name,
                other.as_str()
            ),
        };
        tracing::info!(plugin = %plugin.name, ms = started.elapsed().as_millis(), "plugin ready");
        Ok(port)
    }

    async fn generation(
        &self,
        registry: &Registry,
        loaded: &BTreeMap<String, Loaded>,
    ) -> Result<(Generation, Vec<String>)> {
        let mut providers = BTreeMap::new();
        let mut storage = None;
        let wanted = registry.storage().map(|plugin| plugin.name.as_str());
        for (name, one) in loaded {
            match &one.port {
                Port::Provider(provider) => {
                    providers.insert(name.clone(), Arc::clone(provider));
                }
                Port::Storage(store) if Some(name.as_str()) == wanted => storage = Some(Arc::clone(store)),
                Port::Storage(_) => {}
            }
        }
        let storage = storage.context("the registry declares no storage plugin: add one, and `[server] storage`")?;
        let migrated = storage
            .migrate(&Call::of_server(limits::MIGRATE), &schema::tables())
            .await?;
        let generation = Generation {
            number: self.number + 1,
            providers,
            storage,
            routes: registry.core_routes(),
            access: registry.access(),
        };
        Ok((generation, migrated))
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
    let lock = Lock::default();
    let component = composer.component(config, plugin, &lock, Compile::Allowed).await?;
    let around = Surroundings {
        config,
        databases: composer.open_databases(config).await?,
        models: Arc::clone(&composer.models),
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
        Port::Provider(_) => bail!("the plugin `{}` is no storage", plugin.name),
    }
}

fn source_line(config: &Config, plugin: &Plugin) -> String {
    format!("{} {:?} {:?}", config.folder.display(), plugin.kind, plugin.source)
}

fn limits(plugin: &Plugin) -> Result<PluginLimits> {
    let declared = &plugin.limits;
    Ok(PluginLimits {
        memory: usize::try_from(declared.memory)?,
        cpu: declared.cpu,
        wall: declared.wall,
        instances: usize::try_from(declared.instances)?,
        boundary: usize::try_from(declared.hostcall)?,
        ..PluginLimits::default()
    })
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
