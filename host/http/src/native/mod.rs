//! The server's own wire, `/api/v1/…`: the ledger, and the plugins that serve. Errors have the OpenAI wire's shape.

mod plugins;
mod traces;

pub(crate) use plugins::list as plugins;
pub use plugins::{PluginBody, PluginListBody};
pub use traces::{CallBody, MessageBody, SpanBody, TraceBody, TraceListBody};
pub(crate) use traces::{list, show};
