//! The llama family: grouped attention, rotary positions on neighbouring pairs, gated feed-forward.
//!
//! Weights come from a GGUF file and stay quantized. Mixtures of experts, other architectures and stretched contexts other
//! than by a linear factor are refused when the file is loaded. It does no text and no sampling.

use std::fs::File;
use std::io::BufReader;

use candle_core::Device;
use candle_core::quantized::gguf_file::Content;
use rayon::prelude::*;

use super::Metadata;
use crate::cache::{Cache, CacheShape};
use crate::error::ModelError;
use crate::limits::{CACHE_BYTES, CONTEXT, LAYERS, VOCABULARY, WIDEST};
use crate::math::{Input, Matrix, add, attend, gate, normalise, rotate};
use crate::model::{Facts, Logits, Model, Next, Wanted};

struct Layer {
    attention_norm: Vec<f32>,
    query: Matrix,
    key: Matrix,
    value: Matrix,
    output: Matrix,
    feed_norm: Vec<f32>,
    gate: Matrix,
    up: Matrix,
    down: Matrix,
}

/// A model of the llama family in memory.
pub(crate) struct Llama {
    facts: Facts,
    shape: CacheShape,
    heads: usize,
    embedding: usize,
    epsilon: f32,
    frequencies: Vec<f64>,
    tokens: Matrix,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    /// Absent where the token embeddings are used in both directions.
    head: Option<Matrix>,
}

/// A part of a step: a sequence and the tokens that it reads.
struct Part<'a, 'b> {
    cache: &'a mut Cache,
    tokens: &'b [u32],
}

struct Reader<'a> {
    content: &'a Content,
    file: &'a mut BufReader<File>,
}

impl Reader<'_> {
    fn matrix(&mut self, name: &str, rows: usize, columns: usize) -> Result<Matrix, ModelError> {
        let tensor = self
            .content
            .tensor(self.file, name, &Device::Cpu)
            .map_err(|error| ModelError::Malformed(format!("the tensor `{name}`: {error}")))?;
        Matrix::new(name, &tensor, rows, columns)
    }

    fn vector(&mut self, name: &str, length: usize) -> Result<Vec<f32>, ModelError> {
        let malformed = |reason: String| ModelError::Malformed(format!("the tensor `{name}`: {reason}"));
        let read = |reader: &mut Self| {
            reader
                .content
                .tensor(reader.file, name, &Device::Cpu)?
                .dequantize(&Device::Cpu)?
                .flatten_all()?
                .to_vec1()
        };
        let values: Vec<f32> = read(self).map_err(|error| malformed(error.to_string()))?;
        if values.len() == length {
            Ok(values)
        } else {
            Err(malformed(format!("{} values", values.len())))
        }
    }

    fn has(&self, name: &str) -> bool {
        self.content.tensor_infos.contains_key(name)
    }
}

impl Llama {
    /// Reads the weights.
    ///
    /// # Errors
    /// `Unknown` where the file is sound but of another kind, `Malformed` where it is not sound.
    pub(crate) fn load(content: &Content, file: &mut BufReader<File>, most: Option<usize>) -> Result<Self, ModelError> {
        let metadata = Metadata::new(content);
        let architecture = metadata.need_text("general.architecture")?;
        let experts = metadata.number("llama.expert_count")?.unwrap_or(0);
        if architecture != "llama" || experts > 0 {
            return Err(ModelError::Unknown {
                what: "architecture",
                value: match experts {
                    0 => architecture.to_owned(),
                    experts => format!("{architecture} with {experts} experts"),
                },
            });
        }
        let context = metadata.need_number("llama.context_length", CONTEXT)?;
        let embedding = metadata.need_number("llama.embedding_length", WIDEST)?;
        let feed = metadata.need_number("llama.feed_forward_length", WIDEST)?;
        let heads = metadata.need_number("llama.attention.head_count", WIDEST)?;
        let groups = metadata.number("llama.attention.head_count_kv")?.unwrap_or(heads);
        let width = metadata
            .number("llama.attention.key_length")?
            .unwrap_or(embedding / heads);
        if groups == 0 || !heads.is_multiple_of(groups) || width == 0 || !width.is_multiple_of(2) {
            return Err(ModelError::Malformed(format!(
                "{heads} heads of {width} over {groups} groups"
            )));
        }
        let layers = metadata.need_number("llama.block_count", LAYERS)?;
        let epsilon = metadata
            .float("llama.attention.layer_norm_rms_epsilon")?
            .unwrap_or(1e-5);
        let vocabulary = metadata.need_texts("tokenizer.ggml.tokens")?.len().clamp(1, VOCABULARY);
        let mut reader = Reader { content, file };
        let frequencies = frequencies(&metadata, &mut reader, width)?;
        let shape = CacheShape {
            layers,
            heads: groups,
            width,
        };
        let size = Sizes {
            embedding,
            feed,
            attention: heads * width,
            group: groups * width,
        };
        let own_head = reader.has("output.weight");
        // An answer whose length nobody limits has a cache of the whole context.
        let context = context.min(CACHE_BYTES / shape.position_bytes().max(1)).max(1);
        Ok(Self {
            facts: Facts {
                architecture: architecture.to_owned(),
                context: most.map_or(context, |most| context.min(most)),
                vocabulary,
                cache_bytes: shape.position_bytes(),
                dimensions: 0,
            },
            shape,
            heads,
            embedding,
            epsilon: epsilon as f32,
            frequencies,
            tokens: reader.matrix("token_embd.weight", vocabulary, embedding)?,
            layers: (0..layers)
                .map(|index| Layer::load(&mut reader, index, &size))
                .collect::<Result<_, _>>()?,
            norm: reader.vector("output_norm.weight", embedding)?,
            head: own_head
                .then(|| reader.matrix("output.weight", vocabulary, embedding))
                .transpose()?,
        })
    }

    fn forward(&self, parts: &mut [Part<'_, '_>], wanted: Wanted) -> Result<Logits, ModelError> {
        let mut hidden = self.look_up(parts)?;
        for (index, layer) in self.layers.iter().enumerate() {
            let input = Input::new(normalise(&hidden, &layer.attention_norm, self.epsilon), self.embedding);
            let attended = self.attention(index, layer, &input, parts);
            let change = layer
                .output
                .multiply(&Input::new(attended, self.heads * self.shape.width));
            add(&mut hidden, &change);
            let input = Input::new(normalise(&hidden, &layer.feed_norm, self.epsilon), self.embedding);
            let mut inner = layer.gate.multiply(&input);
            gate(&mut inner, &layer.up.multiply(&input));
            let change = layer.down.multiply(&Input::new(inner, layer.gate.rows()));
            add(&mut hidden, &change);
        }
        let lengths: Vec<usize> = parts.iter().map(|part| part.tokens.len()).collect();
        for part in parts.iter_mut() {
            part.cache.advance(part.tokens.len());
        }
        let rows = self.wanted_rows(&hidden, &lengths, wanted);
        if rows.is_empty() {
            return Ok(Logits {
                vocabulary: self.facts.vocabulary,
                values: Vec::new(),
            });
        }
        let input = Input::new(normalise(&rows, &self.norm, self.epsilon), self.embedding);
        let values = self.head.as_ref().unwrap_or(&self.tokens).multiply(&input);
        Ok(Logits {
            vocabulary: self.facts.vocabulary,
            values,
        })
    }

    /// Checks the step and looks the tokens' embeddings up.
    fn look_up(&self, parts: &[Part<'_, '_>]) -> Result<Vec<f32>, ModelError> {
        let mut hidden = Vec::new();
        for part in parts {
            if part.cache.shape() != self.shape || part.cache.length() + part.tokens.len() > part.cache.capacity() {
                return Err(ModelError::Failed("a cache is full or of another model".to_owned()));
            }
            for token in part.tokens {
                let row = self.tokens.row(*token as usize);
                if row.is_empty() {
                    return Err(ModelError::Failed(format!("there is no token {token}")));
                }
                hidden.extend(row);
            }
        }
        Ok(hidden)
    }

    fn wanted_rows(&self, hidden: &[f32], lengths: &[usize], wanted: Wanted) -> Vec<f32> {
        match wanted {
            Wanted::Nothing => Vec::new(),
            Wanted::Every => hidden.to_vec(),
            Wanted::Last => {
                let ends = lengths.iter().scan(0, |end, length| {
                    *end += length;
                    Some(*end * self.embedding)
                });
                ends.filter_map(|end| hidden.get(end.checked_sub(self.embedding)?..end))
                    .flatten()
                    .copied()
                    .collect()
            }
        }
    }

    /// Writes the keys and values of this step's positions, then lets each of them look at all up to itself.
    fn attention(&self, index: usize, layer: &Layer, input: &Input, parts: &mut [Part<'_, '_>]) -> Vec<f32> {
        let (width, groups) = (self.shape.width, self.shape.heads);
        let mut queries = layer.query.multiply(input);
        let mut keys = layer.key.multiply(input);
        let values = layer.value.multiply(input);
        let mut rows = queries.chunks_exact_mut(self.heads * width).zip(
            keys.chunks_exact_mut(groups * width)
                .zip(values.chunks_exact(groups * width)),
        );
        for part in parts.iter_mut() {
            let start = part.cache.length();
            for (at, (query, (key, value))) in rows.by_ref().take(part.tokens.len()).enumerate() {
                rotate(query, width, start + at, &self.frequencies);
                rotate(key, width, start + at, &self.frequencies);
                part.cache.write(index, start + at, key, value);
            }
        }
        let mut out = vec![0.0f32; queries.len()];
        let places: Vec<(&Cache, usize)> = parts
            .iter()
            .flat_map(|part| (1..=part.tokens.len()).map(|seen| (&*part.cache, part.cache.length() + seen)))
            .collect();
        let share = self.heads / groups;
        let head = |(at, (query, out)): (usize, (&[f32], &mut [f32]))| {
            if let Some((cache, seen)) = places.get(at / self.heads) {
                let (keys, values) = cache.head(index, at % self.heads / share, *seen);
                attend(query, keys, values, out);
            }
        };
        if rayon::current_num_threads() == 1 {
            queries
                .chunks_exact(width)
                .zip(out.chunks_exact_mut(width))
                .enumerate()
                .for_each(head);
        } else {
            queries
                .par_chunks_exact(width)
                .zip(out.par_chunks_exact_mut(width))
                .enumerate()
                .for_each(head);
        }
        out
    }
}

struct Sizes {
    embedding: usize,
    feed: usize,
    attention: usize,
    group: usize,
}

impl Layer {
    fn load(reader: &mut Reader<'_>, index: usize, size: &Sizes) -> Result<Self, ModelError> {
        let name = |part: &str| format!("blk.{index}.{part}.weight");
        if reader.has(&format!("blk.{index}.attn_q.bias")) {
            return Err(ModelError::Unknown {
                what: "architecture",
                value: "llama with biases".to_owned(),
            });
        }
        Ok(Self {
            attention_norm: reader.vector(&name("attn_norm"), size.embedding)?,
            query: reader.matrix(&name("attn_q"), size.attention, size.embedding)?,
            key: reader.matrix(&name("attn_k"), size.group, size.embedding)?,
            value: reader.matrix(&name("attn_v"), size.group, size.embedding)?,
            output: reader.matrix(&name("attn_output"), size.embedding, size.attention)?,
            feed_norm: reader.vector(&name("ffn_norm"), size.embedding)?,
            gate: reader.matrix(&name("ffn_gate"), size.feed, size.embedding)?,
            up: reader.matrix(&name("ffn_up"), size.feed, size.embedding)?,
            down: reader.matrix(&name("ffn_down"), size.embedding, size.feed)?,
        })
    }
}

/// How far each pair of a head turns at each position.
fn frequencies(metadata: &Metadata<'_>, reader: &mut Reader<'_>, width: usize) -> Result<Vec<f64>, ModelError> {
    let base = metadata.float("llama.rope.freq_base")?.unwrap_or(10_000.0);
    let turned = metadata
        .number("llama.rope.dimension_count")?
        .unwrap_or(width)
        .min(width);
    let stretch = match metadata.text("llama.rope.scaling.type")? {
        None | Some("none") => 1.0,
        Some("linear") => metadata.float("llama.rope.scaling.factor")?.unwrap_or(1.0),
        Some(other) => {
            return Err(ModelError::Unknown {
                what: "rope scaling",
                value: other.to_owned(),
            });
        }
    };
    let factors = if reader.has("rope_freqs.weight") {
        reader.vector("rope_freqs.weight", turned / 2)?
    } else {
        vec![1.0; turned / 2]
    };
    let frequency =
        |(pair, factor): (usize, &f32)| base.powf(-2.0 * pair as f64 / turned as f64) / f64::from(*factor) / stretch;
    Ok(factors.iter().enumerate().map(frequency).collect())
}

impl Model for Llama {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn cache(&self, capacity: usize) -> Result<Cache, ModelError> {
        Ok(Cache::new(self.shape, capacity.min(self.facts.context)))
    }

    fn prefill(&self, cache: &mut Cache, tokens: &[u32], wanted: Wanted) -> Result<Logits, ModelError> {
        self.forward(&mut [Part { cache, tokens }], wanted)
    }

    fn decode(&self, batch: &mut [Next<'_>]) -> Result<Logits, ModelError> {
        let mut parts: Vec<Part<'_, '_>> = batch
            .iter_mut()
            .map(|next| Part {
                cache: &mut *next.cache,
                tokens: std::slice::from_ref(&next.token),
            })
            .collect();
        self.forward(&mut parts, Wanted::Last)
    }

    fn embed(&self, _windows: &[&[u32]]) -> Result<Vec<f32>, ModelError> {
        Err(ModelError::Cannot("embed texts"))
    }
}
