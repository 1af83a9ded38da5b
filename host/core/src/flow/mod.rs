//! The flows: what happens to a call between the edge and the plugins, in order.
//!
//! `instrument → route → provider → tee`: the tee's branches are the edge, which streams, and the ledger, which remembers.

pub(crate) mod ask;
pub mod chat;
pub(crate) mod contract;
pub mod embed;
pub(crate) mod instruments;
pub mod models;
pub(crate) mod nested;
mod shares;
pub(crate) mod tee;
