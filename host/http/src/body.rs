//! Reading a request's body: JSON by its declared type, bounded in bytes, in time and, over all requests, in memory.

use axum::body::Body;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use bytes::{Bytes, BytesMut};
use encaje_core::{Problem, ProblemKind};
use http_body_util::BodyExt as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use crate::edge::Edge;
use crate::json::clip;
use crate::limits;
use crate::openai::error::Refusal;

/// A share of the memory for bodies, given back when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Reserved {
    permit: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

/// A body and its share of the memory. What is made of the body is about as large, so the share outlives it.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) bytes: Bytes,
    pub(crate) reserved: Reserved,
}

/// Reads a body of JSON.
pub(crate) async fn json(edge: &Edge, request: Request) -> Result<Read, Refusal> {
    let (parts, body) = request.into_parts();
    check_type(&parts.headers)?;
    let most = edge.config().body_bytes;
    let declared = parts
        .headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|declared| usize::try_from(declared).map_or(true, |declared| declared > most)) {
        return Err(too_large(most));
    }
    collect(edge, body, most).await
}

fn too_large(most: usize) -> Refusal {
    let message = format!("The request's body is larger than the {most} bytes that this server takes.");
    Refusal::from(Problem::new(ProblemKind::TooLarge, message)).closing()
}

fn check_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let declared = headers
        .get(CONTENT_TYPE)
        .map(|value| value.to_str().unwrap_or_default());
    let essence = declared
        .and_then(|text| text.split(';').next())
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    // A page of another site can send a body without this type, but not with it.
    if essence != "application/json" {
        let found = declared.map_or("none was given".to_owned(), |found| format!("not `{}`", clip(found)));
        let message = format!("The request's `Content-Type` must be `application/json`, {found}.");
        return Err(Refusal::unsupported_media_type(message).closing());
    }
    let encoding = headers
        .get(CONTENT_ENCODING)
        .map(|value| value.to_str().unwrap_or_default());
    match encoding {
        None | Some("identity") => Ok(()),
        Some(other) => {
            let message = format!(
                "The request's `Content-Encoding` must be absent or `identity`, not `{}`.",
                clip(other)
            );
            Err(Refusal::unsupported_media_type(message).closing())
        }
    }
}

async fn collect(edge: &Edge, mut body: Body, most: usize) -> Result<Read, Refusal> {
    let config = edge.config();
    let whole = Instant::now() + config.body_time;
    let mut reserved = Reserved::default();
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    loop {
        let until = whole.min(Instant::now() + config.body_stall);
        let frame = match timeout_at(until, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => break,
            Ok(Some(Err(error))) => {
                let problem = Problem::new(
                    ProblemKind::InvalidRequest,
                    "The request's body broke off or is malformed.",
                );
                return Err(Refusal::from(problem.with_code("incomplete_body").with_detail(error)).closing());
            }
            Err(_) => return Err(Refusal::request_timeout("The request's body did not come in time.")),
        };
        // Trailers are of no interest.
        let Ok(data) = frame.into_data() else { continue };
        let length = first.len() + all.len() + data.len();
        if length > most {
            return Err(too_large(most));
        }
        reserve(edge, &mut reserved, length)?;
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            // The usual body comes in one piece and is not copied.
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&data);
        }
    }
    let bytes = if all.is_empty() { first } else { all.freeze() };
    Ok(Read { bytes, reserved })
}

/// Grows a share to hold so many bytes; the first step is free.
fn reserve(edge: &Edge, reserved: &mut Reserved, length: usize) -> Result<(), Refusal> {
    if length <= limits::BODY_RESERVE_STEP || length <= reserved.bytes {
        return Ok(());
    }
    let wanted = length.next_multiple_of(limits::BODY_RESERVE_STEP);
    let more = u32::try_from((wanted - reserved.bytes) >> 10).unwrap_or(u32::MAX);
    let Ok(permit) = edge.bodies().clone().try_acquire_many_owned(more) else {
        let problem = Problem::new(
            ProblemKind::Overloaded,
            "The server holds too many large requests at the moment.",
        );
        return Err(Refusal::from(problem).closing());
    };
    match &mut reserved.permit {
        Some(held) => held.merge(permit),
        none => *none = Some(permit),
    }
    reserved.bytes = wanted;
    Ok(())
}
