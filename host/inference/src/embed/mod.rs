//! Sentence embeddings: a small encoder on candle, and the windows that let it read texts longer than itself.

mod bert;
mod windows;

pub(crate) use bert::Bert;
pub(crate) use windows::{Text, Windows};
