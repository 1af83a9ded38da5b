//! Domain types to and from the WIT's, field by field. Both mirror each other, so that nothing is decided here.
//!
//! `to_guest` goes into a component or out of a host function; `to_core` comes from one.

pub(crate) mod chat;
pub(crate) mod embeddings;
pub(crate) mod knowledge;
pub(crate) mod problem;
pub(crate) mod storage;
pub(crate) mod telemetry;
pub(crate) mod value;
