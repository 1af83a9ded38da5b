//! Which models can be asked for.

use std::collections::BTreeMap;

use futures::future::join_all;

use crate::call::Call;
use crate::generation::{Generation, Provided};
use crate::limits;
use crate::ports::ModelInfo;
use crate::problem::Problem;
use crate::supervise::BreakerState;

/// Models that routes name exactly, and those that providers name and a route brings to them; ordered by id.
pub(crate) async fn list(generation: &Generation, call: &Call) -> Result<Vec<ModelInfo>, Problem> {
    let mut known: BTreeMap<(String, String), ModelInfo> = BTreeMap::new();
    let asked = generation.providers.iter().map(async |(name, provider)| {
        let models = of(name, provider, call).await;
        models
            .into_iter()
            .map(|model| ((name.clone(), model.id.clone()), model))
    });
    known.extend(join_all(asked).await.into_iter().flatten());
    let mut listed: BTreeMap<String, ModelInfo> = BTreeMap::new();
    for route in generation.routes.exact() {
        let Some(target) = route.to.first() else { continue };
        let asked = target.model.as_ref().unwrap_or(&route.pattern);
        let info = known.get(&(target.plugin.clone(), asked.clone()));
        listed.insert(route.pattern.clone(), described(info, &route.pattern, &target.plugin));
    }
    for ((plugin, id), info) in &known {
        let routed = generation.routes.find(id).and_then(|route| route.to.first());
        if routed.is_some_and(|target| target.plugin == *plugin && target.model.is_none()) {
            listed.entry(id.clone()).or_insert_with(|| info.clone());
        }
    }
    Ok(listed.into_values().collect())
}

/// The models of one provider; none where it fails, takes too long, or is left alone for a while.
async fn of(name: &str, provider: &Provided, call: &Call) -> Vec<ModelInfo> {
    // A list proves nothing of answers: it is no probe, and how it ends says neither good nor bad of them. What may be
    // tried again is listed, or nobody who picks from the list would try it.
    if provider.supervisor.breaker.state() == BreakerState::Open {
        tracing::debug!(plugin = %name, "a provider that rests is not asked for its models");
        return Vec::new();
    }
    let time = limits::LIST_MODELS.min(call.remaining());
    match tokio::time::timeout(time, provider.port.models(call)).await {
        Ok(Ok(models)) => models,
        Ok(Err(problem)) => {
            tracing::warn!(plugin = %name, %problem, "a provider failed to list its models");
            Vec::new()
        }
        Err(_) => {
            tracing::warn!(plugin = %name, "a provider took too long to list its models");
            Vec::new()
        }
    }
}

fn described(info: Option<&ModelInfo>, id: &str, plugin: &str) -> ModelInfo {
    let mut described = info.cloned().unwrap_or_else(|| ModelInfo {
        id: id.to_owned(),
        owned_by: plugin.to_owned(),
        created: None,
        context_tokens: None,
        max_output_tokens: None,
        capabilities: Vec::new(),
    });
    id.clone_into(&mut described.id);
    described
}
