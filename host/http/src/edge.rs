//! The routes, and what every answer has in common: its request id and its line in the log.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use encaje_core::server::Server;
use encaje_core::{Problem, ProblemKind};
use tokio::sync::Semaphore;

use crate::config::EdgeConfig;
use crate::openai::error::{Refusal, Told};
use crate::{limits, metrics, native, openai, probes};

/// The header that names a request, in questions and in answers.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What every route shares.
#[derive(Clone)]
pub(crate) struct Edge(Arc<Inner>);

struct Inner {
    server: Arc<Server>,
    config: EdgeConfig,
    /// Of [`EdgeConfig::body_budget`], in KiB.
    bodies: Arc<Semaphore>,
}

impl Edge {
    pub(crate) fn server(&self) -> &Arc<Server> {
        &self.0.server
    }

    pub(crate) fn config(&self) -> &EdgeConfig {
        &self.0.config
    }

    pub(crate) fn bodies(&self) -> &Arc<Semaphore> {
        &self.0.bodies
    }
}

/// The id of the request at hand, put there by [`identify`].
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

/// Every route of the server. It needs no state any more and can be served or asked directly in a test.
pub fn router(server: Arc<Server>, config: EdgeConfig) -> Router {
    let bodies = Arc::new(Semaphore::new((config.body_budget >> 10).min(Semaphore::MAX_PERMITS)));
    let edge = Edge(Arc::new(Inner { server, config, bodies }));
    Router::new()
        .route("/health", read_only(get(probes::health)))
        .route("/ready", read_only(get(probes::ready)))
        .route("/v1/chat/completions", write_only(post(openai::routes::chat)))
        .route("/v1/completions", write_only(post(openai::routes::completions)))
        .route("/v1/embeddings", write_only(post(openai::embeddings::embed)))
        .route("/v1/models", read_only(get(openai::models::list)))
        .route("/v1/models/{*id}", read_only(get(openai::models::one)))
        .route("/metrics", read_only(get(metrics::metrics)))
        .route("/api/v1/plugins", read_only(get(native::plugins)))
        .route("/api/v1/traces", read_only(get(native::list)))
        .route("/api/v1/traces/{id}", read_only(get(native::show)))
        .fallback(unknown)
        .layer(from_fn(identify))
        .with_state(edge)
}

fn read_only(route: MethodRouter<Edge>) -> MethodRouter<Edge> {
    route.fallback(|method: Method, uri: Uri| async move {
        Refusal::method_not_allowed(method.as_str(), uri.path(), "GET, HEAD")
    })
}

fn write_only(route: MethodRouter<Edge>) -> MethodRouter<Edge> {
    route.fallback(|method: Method, uri: Uri| async move {
        // The body of a POST in disguise is not read.
        Refusal::method_not_allowed(method.as_str(), uri.path(), "POST")
    })
}

async fn unknown(method: Method, uri: Uri) -> Refusal {
    let message = format!("There is no route {method} {}.", uri.path());
    Problem::new(ProblemKind::NotFound, message)
        .with_code("unknown_url")
        .into()
}

/// Names the request, and tells the log of what went wrong with it.
async fn identify(mut request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    request.extensions_mut().insert(RequestId(id.clone()));
    let line = (request.method().clone(), request.uri().path().to_owned());
    let mut response = next.run(request).await;
    if let Some(Told(problem)) = response.extensions_mut().remove::<Told>() {
        let (method, path) = line;
        let (status, detail) = (
            response.status().as_u16(),
            problem.log_detail.as_deref().unwrap_or_default(),
        );
        if status >= 500 {
            tracing::warn!(request_id = id, %method, path, status, kind = %problem.kind, message = problem.message, detail, "refused");
        } else {
            tracing::debug!(request_id = id, %method, path, status, kind = %problem.kind, message = problem.message, detail, "refused");
        }
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// The client's own id where it can stand in a header, a log and a row as it is; a fresh one otherwise.
fn request_id(headers: &HeaderMap) -> String {
    plain_id(headers, &REQUEST_ID).unwrap_or_else(encaje_core::id::request_id)
}

/// A header's value that is an id: letters, digits and `-_.:/` alone, and not too long.
pub(crate) fn plain_id(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte);
    let fits = (1..=limits::ID_CHARS).contains(&text.len()) && text.bytes().all(plain);
    fits.then(|| text.to_owned())
}

/// The part of a path that a route leaves open.
pub(crate) fn segment(found: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    found.map(|Path(text)| text).map_err(|rejection| {
        let problem = Problem::new(
            ProblemKind::InvalidRequest,
            "The path is not UTF-8 when its escapes are read.",
        );
        problem.with_code("invalid_path").with_detail(rejection.body_text())
    })
}
