//! The arithmetic of the chat models: quantized matrices and the few vector functions around them.
//!
//! candle reads the files and computes the encoders; its quantized product has no vector path for the four-bit formats of
//! the models that this server ships with, so the product is here: portable code, and one `std::arch` path that is chosen
//! when the program runs. Whatever the batch, each row's sums are made in the same order, so that an answer does not
//! depend on its neighbours.

mod formats;
mod kernel;
mod matrix;
mod vector;

pub(crate) use matrix::{Input, Matrix};
pub(crate) use vector::{add, attend, gate, normalise, rotate};
