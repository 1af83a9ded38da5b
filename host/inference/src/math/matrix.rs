//! A weight matrix as it came from the file, and its product with rows of activations.
//!
//! The product quantizes the activations to eight bits a block, as llama.cpp does, but keeps their scales as `f32`.

use std::sync::OnceLock;

use candle_core::Device;
use candle_core::quantized::QTensor;
use rayon::prelude::*;

use super::formats::{Unpacked, unpack, unpacks};
use super::kernel::{Activation, BLOCK, Codes, Weights, dot, level};
use super::vector;
use crate::error::ModelError;
use crate::limits::ROWS_A_TASK;

/// Activation rows that are multiplied together with one weight row, so that its codes are unpacked once for all.
const TOGETHER: usize = 4;

/// `rows` × `columns` weights; a product maps `columns` values to `rows`.
pub(crate) struct Matrix {
    rows: usize,
    columns: usize,
    store: Store,
}

enum Store {
    Nibbles {
        codes: Vec<u8>,
        scales: Vec<f32>,
        minimums: Vec<f32>,
    },
    Bytes {
        codes: Vec<i8>,
        scales: Vec<f32>,
        minimums: Vec<f32>,
    },
    Halves {
        codes: Vec<i8>,
        scales: Vec<f32>,
    },
    Floats(Vec<f32>),
}

impl Matrix {
    /// Takes a tensor of two dimensions over.
    ///
    /// # Errors
    /// `Malformed` where its shape is another than `rows` × `columns`.
    pub(crate) fn new(name: &str, tensor: &QTensor, rows: usize, columns: usize) -> Result<Self, ModelError> {
        if tensor.shape().dims() != [rows, columns] {
            return Err(ModelError::Malformed(format!(
                "the tensor `{name}` is {:?}, not {rows} × {columns}",
                tensor.shape().dims()
            )));
        }
        let format = tensor.dtype();
        let store = if unpacks(format) && columns.is_multiple_of(format.block_size()) {
            let Unpacked {
                nibbles,
                bytes,
                scales,
                minimums,
            } = unpack(format, &tensor.data()?);
            if !nibbles.is_empty() {
                Store::Nibbles {
                    codes: nibbles,
                    scales,
                    minimums,
                }
            } else if scales.len() * BLOCK == bytes.len() {
                Store::Bytes {
                    codes: bytes,
                    scales,
                    minimums,
                }
            } else {
                Store::Halves { codes: bytes, scales }
            }
        } else {
            Store::Floats(tensor.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1()?)
        };
        let matrix = Self { rows, columns, store };
        if matrix.is_whole() {
            Ok(matrix)
        } else {
            Err(ModelError::Malformed(format!(
                "the tensor `{name}` is shorter than its shape"
            )))
        }
    }

    /// How many values a product yields for one row.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    fn is_whole(&self) -> bool {
        let weights = self.rows * self.columns;
        match &self.store {
            Store::Nibbles {
                codes,
                scales,
                minimums,
            } => codes.len() * 2 == weights && scales.len() * BLOCK == weights && minimums.len() == scales.len(),
            Store::Bytes {
                codes,
                scales,
                minimums,
            } => {
                let complete = minimums.is_empty() || minimums.len() == scales.len();
                codes.len() == weights && scales.len() * BLOCK == weights && complete
            }
            Store::Halves { codes, scales } => codes.len() == weights && scales.len() * BLOCK == weights * 2,
            Store::Floats(values) => values.len() == weights,
        }
    }

    /// One row as floats, e.g. the embedding of a token; empty where there is no such row.
    pub(crate) fn row(&self, index: usize) -> Vec<f32> {
        if index >= self.rows {
            return Vec::new();
        }
        if let Store::Floats(values) = &self.store {
            return piece(values, index, self.columns).to_vec();
        }
        let row = self.weights(index);
        let minimum = |block: usize| row.minimums.get(block).copied().unwrap_or(0.0);
        let codes = |codes: &[i8], share: usize| -> Vec<f32> {
            let scaled = codes.chunks_exact(share).zip(row.scales).enumerate();
            scaled
                .flat_map(|(i, (codes, scale))| {
                    codes
                        .iter()
                        .map(move |code| scale * f32::from(*code) + minimum(i * share / BLOCK))
                })
                .collect()
        };
        match row.codes {
            Codes::Nibbles(nibbles) => {
                let blocks = nibbles.chunks_exact(BLOCK / 2);
                let bytes: Vec<i8> = blocks
                    .flat_map(|block| {
                        let low = block.iter().map(|code| (code & 15) as i8);
                        low.chain(block.iter().map(|code| (code >> 4) as i8))
                    })
                    .collect();
                codes(&bytes, BLOCK)
            }
            Codes::Bytes(bytes) => codes(bytes, BLOCK),
            Codes::Halves(bytes) => codes(bytes, BLOCK / 2),
        }
    }

    fn weights(&self, row: usize) -> Weights<'_> {
        let columns = self.columns;
        match &self.store {
            Store::Nibbles {
                codes,
                scales,
                minimums,
            } => Weights {
                codes: Codes::Nibbles(piece(codes, row, columns / 2)),
                scales: piece(scales, row, columns / BLOCK),
                minimums: piece(minimums, row, columns / BLOCK),
            },
            Store::Bytes {
                codes,
                scales,
                minimums,
            } => Weights {
                codes: Codes::Bytes(piece(codes, row, columns)),
                scales: piece(scales, row, columns / BLOCK),
                minimums: piece(minimums, row, columns / BLOCK),
            },
            Store::Halves { codes, scales } => Weights {
                codes: Codes::Halves(piece(codes, row, columns)),
                scales: piece(scales, row, columns * 2 / BLOCK),
                minimums: &[],
            },
            Store::Floats(_) => Weights {
                codes: Codes::Bytes(&[]),
                scales: &[],
                minimums: &[],
            },
        }
    }

    /// The product with each row of `input`: `rows()` values a row.
    pub(crate) fn multiply(&self, input: &Input) -> Vec<f32> {
        let count = input.rows();
        // Weight by weight first, since that is how the work is split; turned round at the end.
        let mut turned = vec![0.0f32; self.rows * count];
        let task = |(index, out): (usize, &mut [f32])| {
            for (row, out) in out.chunks_exact_mut(count.max(1)).enumerate() {
                self.multiply_row(index * ROWS_A_TASK + row, input, out);
            }
        };
        let size = (ROWS_A_TASK * count).max(1);
        if rayon::current_num_threads() == 1 {
            turned.chunks_mut(size).enumerate().for_each(task);
        } else {
            turned.par_chunks_mut(size).enumerate().for_each(task);
        }
        if count == 1 {
            turned
        } else {
            transpose(&turned, self.rows, count)
        }
    }

    fn multiply_row(&self, row: usize, input: &Input, out: &mut [f32]) {
        if let Store::Floats(values) = &self.store {
            let weights = piece(values, row, self.columns);
            for (out, input) in out.iter_mut().zip(input.values.chunks_exact(self.columns)) {
                *out = vector::dot(weights, input);
            }
            return;
        }
        let (weights, level, quantized) = (self.weights(row), level(), input.quantized());
        let mut groups = out.chunks_exact_mut(TOGETHER);
        let mut at = 0;
        for group in &mut groups {
            let rows: [Activation<'_>; TOGETHER] = std::array::from_fn(|i| quantized.row(at + i));
            group.copy_from_slice(&dot(level, weights, rows));
            at += TOGETHER;
        }
        for out in groups.into_remainder() {
            [*out] = dot(level, weights, [quantized.row(at)]);
            at += 1;
        }
    }
}

/// The `index`th piece of `size` values; empty where there is none.
fn piece<T>(values: &[T], index: usize, size: usize) -> &[T] {
    values.get(index * size..(index + 1) * size).unwrap_or_default()
}

fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut out = vec![0.0f32; values.len()];
    for (row, values) in values.chunks_exact(columns).enumerate() {
        for (out, value) in out.chunks_exact_mut(rows).zip(values) {
            if let Some(out) = out.get_mut(row) {
                *out = *value;
            }
        }
    }
    out
}

/// Rows of activations; quantized once, when the first quantized matrix asks.
pub(crate) struct Input {
    values: Vec<f32>,
    columns: usize,
    quantized: OnceLock<Quantized>,
}

impl Input {
    /// Rows of `columns` values each; `columns` is above 0.
    pub(crate) fn new(values: Vec<f32>, columns: usize) -> Self {
        Self {
            values,
            columns,
            quantized: OnceLock::new(),
        }
    }

    fn rows(&self) -> usize {
        self.values.len() / self.columns.max(1)
    }

    fn quantized(&self) -> &Quantized {
        self.quantized
            .get_or_init(|| Quantized::new(&self.values, self.columns))
    }
}

struct Quantized {
    columns: usize,
    values: Vec<i8>,
    scales: Vec<f32>,
    sums: Vec<f32>,
}

impl Quantized {
    fn new(values: &[f32], columns: usize) -> Self {
        let blocks = values.len() / BLOCK;
        let mut out = Self {
            columns,
            values: vec![0; blocks * BLOCK],
            scales: vec![0.0; blocks],
            sums: vec![0.0; blocks],
        };
        let places = out
            .values
            .chunks_exact_mut(BLOCK)
            .zip(out.scales.iter_mut().zip(&mut out.sums));
        for (block, (codes, (scale, sum))) in values.chunks_exact(BLOCK).zip(places) {
            (*scale, *sum) = vector::quantize(block, codes);
        }
        out
    }

    fn row(&self, index: usize) -> Activation<'_> {
        Activation {
            values: piece(&self.values, index, self.columns),
            scales: piece(&self.scales, index, self.columns / BLOCK),
            sums: piece(&self.sums, index, self.columns / BLOCK),
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Tensor;
    use candle_core::quantized::GgmlDType;

    use super::*;

    fn noise(count: usize, seed: f32) -> Vec<f32> {
        (0..count)
            .map(|i| (i as f32 * 12.9898 + seed).sin() * 43_758.547 % 1.0)
            .collect()
    }

    #[test]
    fn every_format_keeps_its_values_and_multiplies() {
        use GgmlDType::*;
        let (rows, columns, count) = (70, 512, 5);
        let plain = Tensor::from_vec(noise(rows * columns, 0.0), (rows, columns), &Device::Cpu).unwrap();
        let input = noise(count * columns, 7.0);
        for format in [F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2K, Q3K, Q4K, Q5K, Q6K] {
            let tensor = QTensor::quantize(&plain, format).unwrap();
            let matrix = Matrix::new("w", &tensor, rows, columns).unwrap();
            let expected: Vec<Vec<f32>> = tensor.dequantize(&Device::Cpu).unwrap().to_vec2().unwrap();
            for (row, expected) in expected.iter().enumerate() {
                for (own, expected) in matrix.row(row).iter().zip(expected) {
                    assert!((own - expected).abs() < 1e-5, "{format:?}: {own} {expected}");
                }
            }
            let out = matrix.multiply(&Input::new(input.clone(), columns));
            assert_eq!(out.len(), rows * count);
            for (i, input) in input.chunks(columns).enumerate() {
                for (row, expected) in expected.iter().enumerate() {
                    let exact: f32 = expected.iter().zip(input).map(|(w, x)| w * x).sum();
                    let own = out[i * rows + row];
                    // Eight-bit activations: noise of one part in 250 a value, which averages over 512.
                    assert!((own - exact).abs() < 0.25, "{format:?}: {own} {exact}");
                }
            }
            let alone = matrix.multiply(&Input::new(input[columns..2 * columns].to_vec(), columns));
            assert_eq!(
                alone,
                out[rows..2 * rows],
                "{format:?}: a row must not depend on its neighbours"
            );
        }
    }

    #[test]
    fn a_wrong_shape_is_named() {
        let plain = Tensor::from_vec(noise(64, 0.0), (2, 32), &Device::Cpu).unwrap();
        let tensor = QTensor::quantize(&plain, GgmlDType::Q8_0).unwrap();
        let error = Matrix::new("blk.0.attn_q.weight", &tensor, 3, 32)
            .map(|_| ())
            .unwrap_err();
        insta::assert_snapshot!(
            error.to_string(),
            @"the model's file is damaged or of another kind: the tensor `blk.0.attn_q.weight` is [2, 32], not 3 × 32"
        );
    }
}
