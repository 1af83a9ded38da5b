//! The routes for text: a request is admitted, read, translated and asked; its answer is translated back.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, Response};
use axum::response::IntoResponse;
use encaje_core::chat::Input;
use encaje_core::transcript::Transcript;
use encaje_core::{Call, Problem};

use crate::admit::Admitted;
use crate::body;
use crate::edge::Edge;
use crate::openai::answers::{Answers, Next};
use crate::openai::chat_stream::ChatStream;
use crate::openai::completion_wire::CompletionStream;
use crate::openai::error::Refusal;
use crate::openai::stamp::Stamp;
use crate::openai::{chat_whole, completion_request, completion_wire, request, sse};

/// Where the call can be found in the ledger.
const TRACE: HeaderName = HeaderName::from_static("x-encaje-trace");
/// Said where a second-best target of the route answered.
const DEGRADED: HeaderName = HeaderName::from_static("x-encaje-degraded");

/// `POST /v1/chat/completions`
pub(crate) async fn chat(
    State(edge): State<Edge>,
    admitted: Admitted,
    http: Request,
) -> Result<Response<Body>, Refusal> {
    let read = body::json(&edge, http).await?;
    let (request, delivery) = request::chat(&read.bytes)?;
    let (generation, call) = admitted.begin();
    let stamp = Stamp::new("chatcmpl", &call, &request.model);
    let answers = Answers::start(
        edge.server(),
        (generation, call.clone()),
        request,
        Vec::new().into_iter(),
        read.reserved,
    );
    let answer = async {
        if delivery.stream {
            let keep_alive = edge.config().keep_alive;
            return stream(answers, ChatStream::new(stamp, delivery), keep_alive).await;
        }
        let (degraded, transcripts) = gather(answers, 1).await?;
        let transcript = transcripts.into_iter().next().unwrap_or_default();
        Ok(whole(chat_whole::whole(&stamp, &transcript, delivery)?, degraded))
    };
    Ok(traced(&call, answer.await))
}

/// `POST /v1/completions`
pub(crate) async fn completions(
    State(edge): State<Edge>,
    admitted: Admitted,
    http: Request,
) -> Result<Response<Body>, Refusal> {
    let read = body::json(&edge, http).await?;
    let asked = completion_request::completions(&read.bytes)?;
    let prompts = asked.requests.len();
    let echoes: Vec<String> = if asked.echo {
        asked
            .requests
            .iter()
            .map(|request| match &request.input {
                Input::Prompt(text) => text.clone(),
                _ => String::new(),
            })
            .collect()
    } else {
        Vec::new()
    };
    let mut waiting = asked.requests.into_iter();
    let Some(first) = waiting.next() else {
        return Err(Problem::internal("a completion without a prompt").into());
    };
    let choices = first.sampling.choices;
    let (generation, call) = admitted.begin();
    let stamp = Stamp::new("cmpl", &call, &first.model);
    let answers = Answers::start(edge.server(), (generation, call.clone()), first, waiting, read.reserved);
    let answer = async {
        if asked.delivery.stream {
            let encoder = CompletionStream::new(stamp, asked.delivery.include_usage, choices, echoes);
            return stream(answers, encoder, edge.config().keep_alive).await;
        }
        let (degraded, transcripts) = gather(answers, prompts).await?;
        Ok(whole(
            completion_wire::whole(&stamp, &transcripts, choices, &echoes)?,
            degraded,
        ))
    };
    Ok(traced(&call, answer.await))
}

async fn stream<E: sse::Encoder>(
    mut answers: Answers,
    encoder: E,
    keep_alive: std::time::Duration,
) -> Result<Response<Body>, Problem> {
    // A long prompt may take minutes to be read. Whoever is kept waiting sees the head and comments meanwhile, and what
    // fails from then on is an event.
    let (degraded, first) = match tokio::time::timeout(keep_alive, answers.open()).await {
        Ok(opened) => opened.map(|(degraded, first)| (degraded, Some(first)))?,
        Err(_) => (false, None),
    };
    let mut response = sse::response(answers, first, encoder, keep_alive);
    mark(&mut response, degraded);
    Ok(response)
}

/// Waits for the end of all answers, so that the body is sent only when every trace is committed.
async fn gather(mut answers: Answers, prompts: usize) -> Result<(bool, Vec<Transcript>), Problem> {
    let (degraded, mut said) = answers.open().await?;
    let mut transcripts = vec![Transcript::default(); prompts];
    loop {
        match said {
            Next::Started { .. } => {}
            Next::Chunks(prompt, chunks) => {
                if let Some(transcript) = transcripts.get_mut(prompt) {
                    chunks.iter().for_each(|chunk| transcript.push(chunk));
                }
            }
            Next::End => return Ok((degraded, transcripts)),
            Next::Failed(problem) => return Err(problem),
        }
        said = answers.next().await;
    }
}

fn whole(body: Vec<u8>, degraded: bool) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    mark(&mut response, degraded);
    response
}

pub(crate) fn mark(response: &mut Response<Body>, degraded: bool) {
    if degraded {
        response
            .headers_mut()
            .insert(DEGRADED, HeaderValue::from_static("true"));
    }
}

/// Every answer of a call that began says where its trace is, the refusals too.
pub(crate) fn traced(call: &Call, answer: Result<Response<Body>, Problem>) -> Response<Body> {
    let mut response = answer.unwrap_or_else(|problem| Refusal::from(problem).into_response());
    if let Ok(trace) = HeaderValue::from_str(&call.trace().to_string()) {
        response.headers_mut().insert(TRACE, trace);
    }
    response
}
