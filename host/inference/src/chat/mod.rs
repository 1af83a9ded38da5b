//! From a chat request to tokens and back to text: tokenizer, template, checked requests, sampling, assembly of the stream.
//!
//! Nothing here computes a model or knows a thread.

mod assembly;
mod request;
mod sampler;
mod template;
mod tokenizer;

pub(crate) use assembly::{Assembly, Said};
pub(crate) use request::Plan;
pub(crate) use sampler::{Choice, Sampler};
pub(crate) use template::{Template, turns};
pub(crate) use tokenizer::Vocabulary;
