//! Whether this host can run a component: it is compiled, linked, and one instance of it is made with nothing granted, so
//! that the types of what it exports are compared with the contracts of its kind. None of its functions is called.

use std::time::Duration;

use encaje_core::trace::PluginKind;
use encaje_core::{Call, Problem, ProblemKind};

use crate::engine::Runtime;
use crate::grants::Capabilities;
use crate::limits::{CHECK, PluginLimits};
use crate::plugin::{Plugin, PluginSpec};
use crate::visit::Bindings;

/// Makes one instance of a component as a plugin of this kind. Blocks while it compiles, seconds for a large one.
///
/// # Errors
/// What keeps it from being one; the detail has the engine's words.
pub async fn check(runtime: &Runtime, kind: PluginKind, wasm: Vec<u8>) -> Result<(), Problem> {
    let plugin = Plugin::load(
        runtime,
        PluginSpec {
            name: kind.as_str().to_owned(),
            kind,
            wasm,
            config: "{}".to_owned(),
            capabilities: Capabilities::default(),
            limits: PluginLimits::default(),
            uses: 1,
        },
    )?;
    match kind {
        PluginKind::Provider => instance::<crate::previous::Provider>(&plugin, CHECK).await,
        PluginKind::Storage => instance::<encaje_bindings::storage::Plugin>(&plugin, CHECK).await,
        PluginKind::Evaluator => instance::<encaje_bindings::evaluator::Plugin>(&plugin, CHECK).await,
        PluginKind::Instrumentor => instance::<encaje_bindings::instrumentor::Plugin>(&plugin, CHECK).await,
        PluginKind::Retriever => instance::<encaje_bindings::retriever::Plugin>(&plugin, CHECK).await,
        PluginKind::Source => instance::<encaje_bindings::source::Plugin>(&plugin, CHECK).await,
    }
}

async fn instance<B: Bindings>(plugin: &Plugin, wall: Duration) -> Result<(), Problem> {
    let pre = B::link(plugin.pre().clone()).map_err(|error| {
        Problem::new(
            ProblemKind::Misconfigured,
            "It does not export what a plugin of its kind exports.",
        )
        .with_detail(format!("{error:#}"))
    })?;
    let call = Call::of_server(wall);
    plugin.visit::<B>(&call, &pre, "check", wall).await.map(drop)
}
