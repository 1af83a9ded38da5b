//! `plugin test`: the conformance kit over one plugin, in its sandbox and within a server's limits, with what its manifest
//! asks for: a map and databases that are thrown away afterwards, its own metrics, the hosts and local models that the
//! command line allows, and no secret.

mod options;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use encaje_capabilities::egress::{Egress, Policy, Rule};
use encaje_capabilities::kv::Kv;
use encaje_capabilities::sql::{Databases, SqliteSource};
use encaje_core::ports::{Inference, Storage};
use encaje_core::trace::PluginKind;
use encaje_inference::{Format, LocalModels, ModelLimits, ModelSpec};
use encaje_registry::{
    HostPort, Instance, Limits, Manifest, MetricKind, Need, Requires, parse_duration, parse_size, render,
};
use encaje_runtime::engine::Allocation;
use encaje_runtime::{
    Capabilities, EvaluatorPlugin, InstrumentorPlugin, MetricSpec, ModelScope, Plugin, PluginLimits, PluginSpec,
    ProviderPlugin, RetrieverPlugin, Runtime, SourcePlugin, StoragePlugin,
};
use encaje_supply::build::component;
use encaje_supply::{EncajeHome, TerminalProgress};
use encaje_testkit::{Report, Settings};
use tokio::task::spawn_blocking;

use crate::args::Test;
use crate::artifacts;

/// The plugin that is judged.
struct Subject {
    runtime: Runtime,
    wasm: Vec<u8>,
    manifest: Manifest,
    config: String,
    hosts: Vec<Rule>,
    /// The local models that it may use, and their names.
    models: (Arc<dyn Inference>, Vec<String>),
    limits: PluginLimits,
    /// Holds the databases and maps of each start, a folder each.
    folder: tempfile::TempDir,
}

pub(crate) async fn run(home: &EncajeHome, options: &Test) -> Result<()> {
    let (wasm, manifest) = read(home, &options.plugin).await?;
    let subject = Subject {
        runtime: Runtime::new(home.root().join("compiled"), Allocation::PooledIfPossible)?,
        config: config(&manifest, options.config.as_deref())?,
        hosts: hosts(&options.http)?,
        models: models(&options.local)?,
        limits: limits(options)?,
        wasm,
        manifest,
        folder: tempfile::tempdir()?,
    };
    options::check(subject.manifest.kind, options)?;
    let report = judge(&subject, options).await?;
    println!("{report}");
    if !report.passed() {
        if let Some(hint) = options::hint(&subject.manifest, options) {
            println!("{hint}");
        }
        bail!("{} does not keep to its contract", subject.manifest.name);
    }
    Ok(())
}

/// The component and its manifest; a folder is built first.
async fn read(home: &EncajeHome, plugin: &Path) -> Result<(Vec<u8>, Manifest)> {
    let path = std::path::absolute(plugin)?;
    if path.is_dir() {
        let home = home.clone();
        let built = spawn_blocking(move || artifacts::build(&home, &path, &TerminalProgress::new())).await??;
        return Ok((built.wasm, built.manifest));
    }
    let wasm = component::read_file(&path).with_context(|| format!("`{}` cannot be tested", plugin.display()))?;
    let text = component::read_manifest(&wasm)?.with_context(|| {
        let file = plugin.display();
        format!(
            "`{file}` carries no manifest: make it with `encaje plugin build`, or ask `encaje plugin doctor {file}`"
        )
    })?;
    let manifest = Manifest::parse(&text, "its manifest").map_err(|wrong| anyhow!("{}", render(&wrong)))?;
    Ok((wasm, manifest))
}

/// The plugin's own table as a registry would give it: what was said, with the manifest's defaults.
fn config(manifest: &Manifest, said: Option<&str>) -> Result<String> {
    let said = serde_json::from_str(said.unwrap_or("{}")).context("--config is not JSON")?;
    let config = manifest
        .configured(said)
        .map_err(|wrong| anyhow!("{wrong}\ngive it with --config '{{…}}'"))?;
    Ok(config.to_string())
}

fn hosts(named: &[String]) -> Result<Vec<Rule>> {
    let rule = |text: &String| {
        let at = HostPort::parse(text).with_context(|| format!("`{text}` is not a host and a port"))?;
        Ok(Rule {
            host: at.host,
            port: at.port,
            methods: Vec::new(),
            path: None,
            private: true,
        })
    };
    named.iter().map(rule).collect()
}

/// The local models of the command line.
fn models(named: &[String]) -> Result<(Arc<dyn Inference>, Vec<String>)> {
    let spec = |text: &String| {
        let (name, path) = text
            .split_once('=')
            .with_context(|| format!("`{text}` is no model: write --local NAME=PATH"))?;
        let path = PathBuf::from(path);
        Ok(ModelSpec {
            id: name.to_owned(),
            format: match path.is_dir() {
                true => Format::SentenceTransformer,
                false => Format::Gguf,
            },
            path,
            limits: ModelLimits::default(),
        })
    };
    let specs = named.iter().map(spec).collect::<Result<Vec<_>>>()?;
    let names = specs.iter().map(|spec| spec.id.clone()).collect();
    Ok((Arc::new(LocalModels::new(specs)?), names))
}

/// What a server would give it, unless the command line says otherwise: what passes here must not fail there.
fn limits(options: &Test) -> Result<PluginLimits> {
    let mut limits = PluginLimits::default();
    if let Some(text) = &options.memory {
        let bytes = parse_size(text).with_context(|| format!("`{text}` is no size: write e.g. --memory 256MiB"))?;
        limits.memory = usize::try_from(bytes)?;
    }
    if let Some(text) = &options.cpu {
        limits.cpu = parse_duration(text).with_context(|| format!("`{text}` is no time: write e.g. --cpu 10s"))?;
    }
    Ok(limits)
}

/// How often an instance is used, as a server has it that says nothing else of the plugin. What a warm guest keeps from one
/// visit to the next shows only where there is a next one.
fn uses(instance: Instance) -> u32 {
    match instance {
        Instance::PerCall => 1,
        Instance::Warm => Limits::default().uses,
    }
}

impl Subject {
    /// Loads it anew, with an empty map and empty databases.
    async fn load(&self) -> Result<Plugin> {
        let folder = tempfile::tempdir_in(self.folder.path())?.keep();
        let spec = PluginSpec {
            name: self.manifest.name.clone(),
            kind: self.manifest.kind,
            wasm: self.wasm.clone(),
            config: self.config.clone(),
            capabilities: self.capabilities(folder).await?,
            limits: self.limits,
            uses: uses(self.manifest.instance),
        };
        let runtime = self.runtime.clone();
        Ok(spawn_blocking(move || Plugin::load(&runtime, spec)).await??)
    }

    async fn capabilities(&self, folder: PathBuf) -> Result<Capabilities> {
        let requires: &Requires = &self.manifest.requires;
        let names = match &requires.sql {
            Need::Names(names) => names.clone(),
            Need::No => Vec::new(),
            _ => vec!["main".to_owned()],
        };
        let sources: Vec<_> = names
            .iter()
            .map(|name| {
                let file = format!("{name}.db").into();
                (name.clone(), SqliteSource { file })
            })
            .collect();
        let kv = match requires.kv {
            true => Some(Kv::open(&folder).await?),
            false => None,
        };
        let databases = spawn_blocking(move || Databases::open(&folder, sources)).await??;
        let sql = names
            .into_iter()
            .filter_map(|name| Some((name.clone(), databases.get(&name)?.clone())))
            .collect();
        let policy = Policy {
            plugin: self.manifest.name.clone(),
            rules: self.hosts.clone(),
            secrets: [].into(),
        };
        let metrics = self.manifest.metrics.iter().map(|metric| {
            let spec = MetricSpec {
                histogram: metric.kind == MetricKind::Histogram,
                labels: metric.labels.clone(),
            };
            (metric.name.clone(), spec)
        });
        Ok(Capabilities {
            sql,
            kv,
            inference: match requires.inference.is_some() {
                true => Some(self.models.clone()),
                false => None,
            },
            http: match requires.http.is_some() {
                true => Some(Egress::new(policy)?),
                false => None,
            },
            models: match requires.models.is_some() {
                true => ModelScope::All,
                false => ModelScope::None,
            },
            metrics: metrics.collect(),
        })
    }
}

async fn judge(subject: &Subject, options: &Test) -> Result<Report> {
    let settings = settings(options);
    let plugin = subject.load().await?;
    Ok(match subject.manifest.kind {
        PluginKind::Provider => encaje_testkit::provider(&ProviderPlugin::start(plugin).await?, &settings).await,
        PluginKind::Storage => {
            // What keeps the first from starting keeps them all.
            StoragePlugin::start(plugin).await?;
            let stores = Stores(subject);
            encaje_testkit::storage(async || stores.fresh().await, &settings).await
        }
        PluginKind::Evaluator => encaje_testkit::evaluator(&EvaluatorPlugin::start(plugin).await?, &settings).await,
        PluginKind::Instrumentor => {
            encaje_testkit::instrumentor(&InstrumentorPlugin::start(plugin).await?, &settings).await
        }
        PluginKind::Retriever => encaje_testkit::retriever(&RetrieverPlugin::start(plugin).await?, &settings).await,
        PluginKind::Source => {
            let source = SourcePlugin::start(plugin).await?;
            encaje_testkit::source(&source, options.location.as_deref(), &settings).await
        }
    })
}

/// Empty stores of one plugin.
struct Stores<'a>(&'a Subject);

impl Stores<'_> {
    #[expect(
        clippy::panic,
        reason = "the kit takes a panic for the failure of the check at hand, which is right"
    )]
    async fn fresh(&self) -> Arc<dyn Storage> {
        let started = match self.0.load().await {
            Ok(plugin) => StoragePlugin::start(plugin).await.map_err(anyhow::Error::from),
            Err(error) => Err(error),
        };
        match started {
            Ok(store) => Arc::new(store),
            Err(error) => panic!("no further store could be started: {error:#}"),
        }
    }
}

fn settings(options: &Test) -> Settings {
    let mut settings = Settings::default();
    settings.seed = options.seed;
    settings.cases = options.cases.unwrap_or(settings.cases);
    settings.model.clone_from(&options.model);
    settings.forwards = options.forwards;
    settings.answer_tokens = options.answer_tokens.unwrap_or(settings.answer_tokens);
    settings.words.clone_from(&options.words);
    settings.other_spec.clone_from(&options.other_spec);
    settings.params = options.params.clone().unwrap_or(settings.params);
    settings.spec = options.spec.clone().unwrap_or(settings.spec);
    settings
}
