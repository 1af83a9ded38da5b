//! What a GGUF file says about its model: typed look-ups over candle's reader.
//!
//! A key that is absent where it is needed, or of another type, is an error that names it.

mod llama;
mod metadata;

pub(crate) use llama::Llama;
pub(crate) use metadata::Metadata;
