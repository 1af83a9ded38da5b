//! The OpenAI wire: chat, completions, embeddings, models.
//!
//! `routes.rs` is where to start. Requests come in through `request.rs`, `completion_request.rs` and `embeddings.rs`;
//! answers leave through `chat_whole.rs`, `chat_stream.rs`, `completion_wire.rs` and `sse.rs`.

pub(crate) mod answers;
pub(crate) mod chat_stream;
pub(crate) mod chat_whole;
pub(crate) mod completion_request;
pub(crate) mod completion_wire;
pub(crate) mod embeddings;
pub(crate) mod error;
pub(crate) mod message;
pub(crate) mod models;
pub(crate) mod request;
pub(crate) mod routes;
pub(crate) mod sse;
pub(crate) mod stamp;
pub(crate) mod tools;

#[cfg(test)]
mod tests;
