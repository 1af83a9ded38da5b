//! A sentence-transformers folder with a BERT encoder: `config.json`, `tokenizer.json`, `model.safetensors`.
//!
//! Mean over all tokens of a window, then L2 norm 1. A folder that asks for another pooling is refused.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::windows::Windows;
use crate::cache::Cache;
use crate::error::ModelError;
use crate::limits::{EMBED_WINDOW, JSON_BYTES, VOCABULARY};
use crate::model::{Facts, Logits, Model, Next, Wanted};

/// A BERT encoder in memory.
pub(crate) struct Bert {
    facts: Facts,
    model: BertModel,
}

#[derive(Deserialize)]
struct SentenceConfig {
    max_seq_length: Option<usize>,
}

#[derive(Deserialize)]
struct Pooling {
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
}

/// Reads a file of the model's folder.
fn read(folder: &Path, name: &str, most: u64) -> Result<Vec<u8>, ModelError> {
    let path = folder.join(name);
    let wrong = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => ModelError::Missing { file: name.to_owned() },
        _ => ModelError::Unreadable {
            file: name.to_owned(),
            reason: error.to_string(),
        },
    };
    if path.metadata().map_err(wrong)?.len() > most {
        return Err(ModelError::Malformed(format!("{name} has more than {most} bytes")));
    }
    std::fs::read(&path).map_err(wrong)
}

fn json<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<T, ModelError> {
    let data = read(folder, name, JSON_BYTES)?;
    serde_json::from_slice(&data).map_err(|error| ModelError::Malformed(format!("{name}: {error}")))
}

fn optional<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<Option<T>, ModelError> {
    match json(folder, name) {
        Ok(value) => Ok(Some(value)),
        Err(ModelError::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

impl Bert {
    /// Reads the folder.
    ///
    /// # Errors
    /// `Missing`, `Unreadable`, `Malformed`; `Unknown` for another architecture or pooling.
    pub(crate) fn load(folder: &Path, most: Option<usize>) -> Result<(Self, Windows), ModelError> {
        let plain: serde_json::Value = json(folder, "config.json")?;
        let kind = plain
            .get("model_type")
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default();
        if kind != "bert" {
            return Err(ModelError::Unknown {
                what: "architecture",
                value: kind.to_owned(),
            });
        }
        let config: Config =
            serde_json::from_value(plain).map_err(|error| ModelError::Malformed(format!("config.json: {error}")))?;
        if optional::<Pooling>(folder, "1_Pooling/config.json")?
            .is_some_and(|pooling| !pooling.pooling_mode_mean_tokens)
        {
            return Err(ModelError::Unknown {
                what: "pooling",
                value: "other than the mean".to_owned(),
            });
        }
        let own = optional::<SentenceConfig>(folder, "sentence_bert_config.json")?.and_then(|own| own.max_seq_length);
        let window = own
            .unwrap_or(EMBED_WINDOW)
            .min(config.max_position_embeddings)
            .min(most.unwrap_or(usize::MAX));
        if window < 3 || config.vocab_size > VOCABULARY {
            return Err(ModelError::Malformed(format!(
                "windows of {window}, {} tokens",
                config.vocab_size
            )));
        }
        let windows = Windows::new(&read(folder, "tokenizer.json", JSON_BYTES)?, window, config.vocab_size)?;
        let weights = read(folder, "model.safetensors", u64::MAX)?;
        let malformed = |error: candle_core::Error| ModelError::Malformed(format!("model.safetensors: {error}"));
        let builder = VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu).map_err(malformed)?;
        let facts = Facts {
            architecture: "bert".to_owned(),
            context: window,
            vocabulary: config.vocab_size,
            cache_bytes: 0,
            dimensions: config.hidden_size,
        };
        let model = BertModel::load(builder, &config).map_err(malformed)?;
        Ok((Self { facts, model }, windows))
    }

    /// One pass over windows of about the same length.
    fn pass(&self, windows: &[&[u32]]) -> Result<Vec<Vec<f32>>, ModelError> {
        let longest = windows.iter().map(|window| window.len()).max().unwrap_or(0);
        let shape = (windows.len(), longest);
        let padded = |window: &&[u32]| {
            window
                .iter()
                .copied()
                .chain(std::iter::repeat(0))
                .take(longest)
                .collect::<Vec<_>>()
        };
        let marks = |window: &&[u32]| (0..longest).map(|at| u32::from(at < window.len())).collect::<Vec<_>>();
        let ids = Tensor::from_vec(windows.iter().flat_map(padded).collect(), shape, &Device::Cpu)?;
        let mask = Tensor::from_vec(windows.iter().flat_map(marks).collect(), shape, &Device::Cpu)?;
        let whole = windows.iter().all(|window| window.len() == longest);
        let out = self
            .model
            .forward(&ids, &ids.zeros_like()?, (!whole).then_some(&mask))?;
        let mask = mask.to_dtype(DType::F32)?.unsqueeze(2)?;
        let sums = out.broadcast_mul(&mask)?.sum(1)?;
        let means: Vec<Vec<f32>> = sums.broadcast_div(&mask.sum(1)?)?.to_vec2()?;
        Ok(means)
    }
}

/// Scales a vector to length 1; one without a direction stays as it is.
pub(super) fn unit(vector: &mut [f32]) {
    let length = vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    if length > 0.0 {
        for value in vector {
            *value = (f64::from(*value) / length) as f32;
        }
    }
}

impl Model for Bert {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn cache(&self, _capacity: usize) -> Result<Cache, ModelError> {
        Err(ModelError::Cannot("generate text"))
    }

    fn prefill(&self, _cache: &mut Cache, _tokens: &[u32], _wanted: Wanted) -> Result<Logits, ModelError> {
        Err(ModelError::Cannot("generate text"))
    }

    fn decode(&self, _batch: &mut [Next<'_>]) -> Result<Logits, ModelError> {
        Err(ModelError::Cannot("generate text"))
    }

    fn embed(&self, windows: &[&[u32]]) -> Result<Vec<f32>, ModelError> {
        if windows
            .iter()
            .any(|window| window.is_empty() || window.len() > self.facts.context)
        {
            return Err(ModelError::Failed("a window is empty or too long".to_owned()));
        }
        let mut vectors = Vec::with_capacity(windows.len() * self.facts.dimensions);
        for mut vector in self.pass(windows)? {
            unit(&mut vector);
            vectors.append(&mut vector);
        }
        Ok(vectors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_vectors_have_length_one() {
        let mut vector = vec![3.0, 4.0];
        unit(&mut vector);
        assert_eq!(vector, [0.6, 0.8]);
        let mut none = vec![0.0; 3];
        unit(&mut none);
        assert_eq!(none, [0.0; 3]);
    }
}
