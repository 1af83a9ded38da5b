//! From one plugin of the registry to a port: its authority as handles, its limits, its start.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use encaje_capabilities::egress::{Egress, Hidden, Policy, Rule, Secret};
use encaje_capabilities::kv::Kv;
use encaje_core::health::Observed;
use encaje_core::ports::Inference;
use encaje_core::supervise::{BreakerSettings, RetrySettings, Supervisor};
use encaje_core::trace::PluginKind;
use encaje_registry::{Environment, Grants, Instance, MetricKind, Plugin, Resolved, Scope, Secrets};
use encaje_runtime::{
    Capabilities, EvaluatorPlugin, InstrumentorPlugin, MetricSpec, ModelScope, PluginLimits, PluginSpec,
    ProviderPlugin, RetrieverPlugin, Runtime, SourcePlugin, StoragePlugin,
};
use tokio::task::spawn_blocking;

use crate::compose::Surroundings;
use crate::config::Config;

/// A started plugin of any kind.
#[derive(Clone)]
pub(crate) enum Port {
    Provider(Arc<ProviderPlugin>),
    Storage(Arc<StoragePlugin>),
    Evaluator(Arc<EvaluatorPlugin>),
    Instrumentor(Arc<InstrumentorPlugin>),
    Retriever(Arc<RetrieverPlugin>),
    Source(Arc<SourcePlugin>),
}

impl Port {
    /// What can be seen of it.
    pub(crate) fn observed(&self) -> Arc<dyn Observed> {
        let plugin = match self {
            Self::Provider(port) => port.plugin(),
            Self::Storage(port) => port.plugin(),
            Self::Evaluator(port) => port.plugin(),
            Self::Instrumentor(port) => port.plugin(),
            Self::Retriever(port) => port.plugin(),
            Self::Source(port) => port.plugin(),
        };
        Arc::clone(plugin) as _
    }
}

/// The secrets that the registry names, from the environment and the `.env` beside it.
pub(crate) fn secrets(config: &Config) -> Result<Secrets> {
    let names = config.registry.secret_names();
    Ok(Secrets::load(
        names,
        &Environment::of_process(),
        &config.folder.join(".env"),
    )?)
}

/// What a plugin was granted, as handles.
pub(crate) fn capabilities(
    plugin: &Plugin,
    resolved: &Resolved,
    around: &Surroundings<'_>,
    kv: Option<&Kv>,
) -> Result<Capabilities> {
    let grants = &resolved.grants;
    let mut sql = BTreeMap::new();
    for name in &grants.sql {
        let database = around
            .databases
            .get(name)
            .with_context(|| format!("there is no database `{name}`"))?;
        sql.insert(name.clone(), database.clone());
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
        kv: kv.filter(|_| grants.kv).cloned(),
        inference: (!grants.inference.is_empty()).then(|| (inference, grants.inference.clone())),
        http: egress(plugin, grants, &around.secrets)?,
        models: match &grants.models {
            Scope::None => ModelScope::None,
            Scope::All => ModelScope::All,
            Scope::Only(names) => ModelScope::Only(names.clone()),
        },
        metrics: metrics.collect(),
    })
}

/// The way out; none where neither a host nor a secret is granted.
fn egress(plugin: &Plugin, grants: &Grants, values: &Secrets) -> Result<Option<Egress>> {
    if grants.http.is_empty() && grants.secrets.is_empty() {
        return Ok(None);
    }
    let rules = grants.http.iter().map(|rule| Rule {
        host: rule.at.host.clone(),
        port: rule.at.port,
        methods: rule.methods.clone(),
        path: rule.path.clone(),
        private: rule.private,
    });
    let secrets = grants.secrets.iter().map(|(name, binding)| {
        let secret = Secret {
            host: binding.host.clone(),
            header: binding.header.clone(),
            template: binding.value.clone(),
            reveal: binding.reveal,
            value: values.get(name).map(|value| Hidden::new(value.to_owned())),
        };
        (name.clone(), secret)
    });
    let policy = Policy {
        plugin: plugin.name.clone(),
        rules: rules.collect(),
        secrets: secrets.collect(),
    };
    let egress = Egress::new(policy).map_err(|problem| anyhow!("the plugin `{}`: {problem}", plugin.name))?;
    Ok(Some(egress))
}

/// Compiles a plugin, runs its check, and makes a port of it.
pub(crate) async fn start(
    runtime: &Runtime,
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
        uses: match resolved.instance {
            Instance::PerCall => 1,
            Instance::Warm => plugin.limits.uses,
        },
    };
    let runtime = runtime.clone();
    let started = std::time::Instant::now();
    let failed = || format!("the plugin `{}` cannot be started", plugin.name);
    let loaded = spawn_blocking(move || encaje_runtime::Plugin::load(&runtime, spec))
        .await?
        .with_context(failed)?;
    let port = match plugin.kind {
        PluginKind::Provider => ProviderPlugin::start(loaded)
            .await
            .map(|port| Port::Provider(Arc::new(port))),
        PluginKind::Storage => StoragePlugin::start(loaded)
            .await
            .map(|port| Port::Storage(Arc::new(port))),
        PluginKind::Evaluator => EvaluatorPlugin::start(loaded)
            .await
            .map(|port| Port::Evaluator(Arc::new(port))),
        PluginKind::Instrumentor => {
            let started = InstrumentorPlugin::start(loaded).await;
            started.map(|port| Port::Instrumentor(Arc::new(port)))
        }
        PluginKind::Retriever => RetrieverPlugin::start(loaded)
            .await
            .map(|port| Port::Retriever(Arc::new(port))),
        PluginKind::Source => SourcePlugin::start(loaded)
            .await
            .map(|port| Port::Source(Arc::new(port))),
    };
    let port = port.with_context(failed)?;
    tracing::info!(plugin = %plugin.name, ms = started.elapsed().as_millis(), "plugin ready");
    Ok(port)
}

/// What watches over a plugin.
pub(crate) fn supervisor(plugin: &Plugin) -> Arc<Supervisor> {
    let (breaker, retry) = (&plugin.breaker, &plugin.retry);
    Supervisor::new(
        BreakerSettings {
            failures: breaker.failures,
            window: breaker.window,
            pause: breaker.pause,
            probes: breaker.probes,
        },
        RetrySettings {
            attempts: retry.attempts,
            first: retry.first,
            most: retry.most,
        },
    )
}

fn limits(plugin: &Plugin) -> Result<PluginLimits> {
    let declared = &plugin.limits;
    Ok(PluginLimits {
        memory: usize::try_from(declared.memory)?,
        cpu: declared.cpu,
        wall: declared.wall,
        instances: usize::try_from(declared.instances)?,
        queue: usize::try_from(declared.queue)?,
        boundary: usize::try_from(declared.hostcall)?,
    })
}
