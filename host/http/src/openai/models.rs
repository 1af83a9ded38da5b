//! `GET /v1/models` and `GET /v1/models/{id}`: what can be asked for.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use encaje_core::ports::ModelInfo;
use encaje_core::{Problem, ProblemKind};
use serde::Serialize;

use crate::admit::Admitted;
use crate::edge::{Edge, segment};
use crate::openai::error::Refusal;

/// The members behind `owned_by` are this server's own.
#[derive(Debug, Serialize)]
pub(crate) struct ModelBody {
    id: String,
    object: &'static str,
    created: u64,
    owned_by: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_length: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    capabilities: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct ListBody {
    object: &'static str,
    data: Vec<ModelBody>,
}

impl From<ModelInfo> for ModelBody {
    fn from(info: ModelInfo) -> Self {
        Self {
            id: info.id,
            object: "model",
            created: info.created.unwrap_or(0),
            owned_by: info.owned_by,
            context_length: info.context_tokens,
            max_output_tokens: info.max_output_tokens,
            capabilities: info.capabilities,
        }
    }
}

/// `GET /v1/models`
pub(crate) async fn list(State(edge): State<Edge>, admitted: Admitted) -> Result<Json<ListBody>, Refusal> {
    let (generation, call) = admitted.begin();
    let models = edge.server().models(&generation, &call).await?;
    Ok(Json(ListBody {
        object: "list",
        data: models.into_iter().map(ModelBody::from).collect(),
    }))
}

/// `GET /v1/models/{id}`; an id may contain slashes. A model that only a pattern answers is found too.
pub(crate) async fn one(
    State(edge): State<Edge>,
    admitted: Admitted,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<ModelBody>, Refusal> {
    let id = segment(id)?;
    let (generation, call) = admitted.begin();
    let models = edge.server().models(&generation, &call).await?;
    if let Some(info) = models.into_iter().find(|model| model.id == id) {
        return Ok(Json(info.into()));
    }
    let target = generation.routes.find(&id).and_then(|route| route.to.first());
    let Some(target) = target else {
        let message = format!("The model `{id}` does not exist: no route answers it.");
        return Err(Problem::new(ProblemKind::NotFound, message)
            .with_code("model_not_found")
            .with_param("model")
            .into());
    };
    Ok(Json(ModelBody {
        id,
        object: "model",
        created: 0,
        owned_by: target.plugin.clone(),
        context_length: None,
        max_output_tokens: None,
        capabilities: Vec::new(),
    }))
}
