//! Sentence embeddings: a small encoder on candle, and the windows that let it read texts longer than itself.

mod bert;
mod passes;
mod windows;

pub(crate) use bert::Bert;
pub(crate) use passes::passes;
pub(crate) use windows::{Text, Windows};
