//! Probes of a supervisor: whether the server lives, and whether it can serve. They ask for no key and tell no secret.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use crate::edge::Edge;
use crate::openai::error::Refusal;

/// 200 as long as the process answers.
pub(crate) async fn health() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], r#"{"status":"ok"}"#)
}

/// 200 when new calls can be served, with the generation that would serve them; 503 otherwise.
pub(crate) async fn ready(State(edge): State<Edge>) -> Result<impl IntoResponse, Refusal> {
    edge.server().ready()?;
    let generation = edge.server().generation().number;
    Ok((
        [(CONTENT_TYPE, "application/json")],
        format!(r#"{{"status":"ready","generation":{generation}}}"#),
    ))
}
