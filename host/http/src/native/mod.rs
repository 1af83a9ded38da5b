//! The server's own wire, `/api/v1/…`: for now, reading the ledger back. Errors have the OpenAI wire's shape.

mod traces;

pub use traces::{CallBody, MessageBody, SpanBody, TraceBody, TraceListBody};
pub(crate) use traces::{list, show};
