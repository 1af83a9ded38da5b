//! The flows: what happens to a call between the edge and the plugins, in order.
//!
//! `route → provider → tee`: the tee's branches are the edge, which streams, and the ledger, which remembers.

pub mod chat;
pub mod embed;
pub mod models;
