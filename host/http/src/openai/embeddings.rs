//! `POST /v1/embeddings`: texts or token ids in, vectors out, as numbers or as base64 of little-endian `f32`s.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use encaje_core::Problem;
use encaje_core::embeddings::{EmbedInput, EmbedRequest, EmbedResponse, Purpose};
use encaje_core::problem::Extra;
use encaje_core::server::Embedded;
use serde::Serialize;

use crate::admit::Admitted;
use crate::edge::Edge;
use crate::json::{Json, parse};
use crate::openai::error::Refusal;
use crate::openai::{request, routes};
use crate::{body, limits};

/// Said where vectors stand for less than their whole inputs.
const TRUNCATED: HeaderName = HeaderName::from_static("x-encaje-truncated");

/// How vectors are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Float,
    Base64,
}

/// `POST /v1/embeddings`
pub(crate) async fn embed(
    State(edge): State<Edge>,
    admitted: Admitted,
    http: Request,
) -> Result<Response<Body>, Refusal> {
    let read = body::json(&edge, http).await?;
    let (request, encoding) = embeddings(&read.bytes)?;
    let model = request.model.clone();
    let (generation, call) = admitted.begin();
    let answer = async {
        let asked = edge.server().embed(&generation, call.clone(), request);
        let Embedded { response, degraded } = asked.await?;
        let truncated =
            response.covered.iter().map(|tokens| u64::from(*tokens)).sum::<u64>() < response.usage.input_tokens;
        let body = write(model, response, encoding).await?;
        let mut response = Response::new(Body::from(body));
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if truncated {
            response
                .headers_mut()
                .insert(TRUNCATED, HeaderValue::from_static("true"));
        }
        routes::mark(&mut response, degraded);
        Ok(response)
    };
    let answer = answer.await;
    drop(read.reserved);
    Ok(routes::traced(&call, answer))
}

/// An embedding request and how its vectors are to be written.
pub(crate) fn embeddings(body: &[u8]) -> Result<(EmbedRequest, Encoding), Problem> {
    let mut object = parse(body)?.object()?;
    let model = request::model(&mut object)?;
    let inputs = inputs(&object.require("input")?)?;
    let formats = [("float", Encoding::Float), ("base64", Encoding::Base64)];
    let encoding = object
        .read("encoding_format", |json| json.one_of(&formats))?
        .unwrap_or(Encoding::Float);
    let purposes = [
        ("query", Purpose::Query),
        ("document", Purpose::Document),
        ("similarity", Purpose::Similarity),
    ];
    let request = EmbedRequest {
        model,
        inputs,
        purpose: object
            .read("input_type", |json| json.one_of(&purposes))?
            .unwrap_or_default(),
        dimensions: object.read("dimensions", |json| json.integer(1, i64::from(u32::MAX)))?,
        extra: {
            object.read("user", |json| json.string().map(drop))?;
            Extra::from(object.rest()?)
        },
    };
    Ok((request, encoding))
}

/// A text, a list of texts, a list of token ids, or a list of such lists.
fn inputs(json: &Json<'_>) -> Result<Vec<EmbedInput>, Problem> {
    if json.is_string() {
        return Ok(vec![text(json)?]);
    }
    let expected = "a string, an array of strings, an array of token ids or an array of such arrays";
    if !json.is_list() {
        return Err(json.wrong_type(expected));
    }
    if json.begins_with_number() {
        return Ok(vec![EmbedInput::Tokens(json.tokens()?)]);
    }
    let items = json.list(limits::EMBED_INPUTS)?;
    if items.is_empty() {
        return Err(json.invalid("must not be empty").with_code("empty_array"));
    }
    items
        .iter()
        .map(|item| match item {
            item if item.is_string() => text(item),
            item if item.is_list() => match item.tokens()? {
                tokens if tokens.is_empty() => Err(item.invalid("must not be empty").with_code("empty_array")),
                tokens => Ok(EmbedInput::Tokens(tokens)),
            },
            other => Err(other.wrong_type("a string or an array of token ids")),
        })
        .collect()
}

fn text(json: &Json<'_>) -> Result<EmbedInput, Problem> {
    match json.string()? {
        empty if empty.is_empty() => Err(json.invalid("must not be empty").with_code("empty_string")),
        text => Ok(EmbedInput::Text(text.into_owned())),
    }
}

#[derive(Serialize)]
struct ListBody<'a> {
    object: &'static str,
    data: Vec<VectorBody<'a>>,
    model: &'a str,
    usage: EmbedUsage,
}

#[derive(Serialize)]
struct VectorBody<'a> {
    object: &'static str,
    index: usize,
    embedding: Vector<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Vector<'a> {
    Float(&'a [f32]),
    Base64(String),
}

#[derive(Serialize)]
struct EmbedUsage {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// Many numbers take long to write, and nobody else would be served by this thread meanwhile.
async fn write(model: String, response: EmbedResponse, encoding: Encoding) -> Result<Vec<u8>, Problem> {
    if response.vectors.len() <= limits::EMBED_INLINE {
        return write_now(&model, &response, encoding);
    }
    tokio::task::spawn_blocking(move || write_now(&model, &response, encoding))
        .await
        .map_err(Problem::internal)?
}

fn write_now(model: &str, response: &EmbedResponse, encoding: Encoding) -> Result<Vec<u8>, Problem> {
    if response.vectors.iter().any(|number| !number.is_finite()) {
        return Err(Problem::internal("a vector has a number that is not finite"));
    }
    let width = usize::try_from(response.dimensions).unwrap_or(usize::MAX).max(1);
    let data = response
        .vectors
        .chunks(width)
        .enumerate()
        .map(|(index, row)| {
            let embedding = match encoding {
                Encoding::Float => Vector::Float(row),
                Encoding::Base64 => {
                    let bytes: Vec<u8> = row.iter().flat_map(|number| number.to_le_bytes()).collect();
                    Vector::Base64(STANDARD.encode(bytes))
                }
            };
            VectorBody {
                object: "embedding",
                index,
                embedding,
            }
        })
        .collect();
    let usage = EmbedUsage {
        prompt_tokens: response.usage.input_tokens,
        total_tokens: response.usage.input_tokens.saturating_add(response.usage.output_tokens),
    };
    serde_json::to_vec(&ListBody {
        object: "list",
        data,
        model,
        usage,
    })
    .map_err(Problem::internal)
}
