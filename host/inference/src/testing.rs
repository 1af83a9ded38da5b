//! Tiny models for this crate's own tests: written by candle, with weights of noise and a vocabulary of bytes.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::{Value, write};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};

use crate::{Format, ModelLimits, ModelSpec};

const WIDTH: usize = 32;
const FEED: usize = 64;
/// 256 bytes, one merge, two control tokens.
const VOCABULARY: usize = 259;

/// Context of the tiny chat model.
pub(crate) const CONTEXT: u32 = 64;
/// The control token that ends a turn.
pub(crate) const END: u32 = 258;

/// Metadata of a GGUF file.
pub(crate) type Pairs = BTreeMap<String, Value>;

/// Numbers in [-0.5, 0.5) that look random.
fn noise(shape: &[usize], seed: usize) -> Tensor {
    let count: usize = shape.iter().product();
    let value = |i: usize| {
        let mixed = (i as u64 + 1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ (seed as u64) << 7)
            .rotate_left(23);
        (mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    Tensor::from_vec((0..count).map(value).collect::<Vec<f32>>(), shape, &Device::Cpu).unwrap()
}

/// The character that stands for a byte in a byte-level vocabulary.
fn character(byte: u8) -> char {
    let itself = |byte: u8| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    if itself(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|other| !itself(*other)).count();
    char::from_u32(0x100 + before as u32).unwrap()
}

fn pairs() -> Pairs {
    let text = |text: &str| Value::String(text.to_owned());
    let mut tokens: Vec<Value> = (0..=255u8).map(|byte| text(&character(byte).to_string())).collect();
    tokens.extend([text("he"), text("<|im_start|>"), text("<|im_end|>")]);
    let kinds = (0..VOCABULARY)
        .map(|id| Value::I32(if id > 256 { 3 } else { 1 }))
        .collect();
    let template = "{% for m in messages %}<|im_start|>{{ m.role }}:{{ m.content }}<|im_end|>{% endfor %}";
    let list = [
        ("general.architecture", text("llama")),
        ("llama.context_length", Value::U32(CONTEXT)),
        ("llama.embedding_length", Value::U32(WIDTH as u32)),
        ("llama.feed_forward_length", Value::U32(FEED as u32)),
        ("llama.block_count", Value::U32(2)),
        ("llama.attention.head_count", Value::U32(2)),
        ("llama.attention.head_count_kv", Value::U32(1)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
        ("tokenizer.ggml.model", text("gpt2")),
        ("tokenizer.ggml.pre", text("smollm")),
        ("tokenizer.ggml.tokens", Value::Array(tokens)),
        ("tokenizer.ggml.token_type", Value::Array(kinds)),
        ("tokenizer.ggml.merges", Value::Array(vec![text("h e")])),
        ("tokenizer.ggml.eos_token_id", Value::U32(END)),
        ("tokenizer.chat_template", text(template)),
    ];
    list.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn tensors(own_head: bool) -> Vec<(String, QTensor)> {
    let half = WIDTH / 2;
    let mut list = vec![
        ("token_embd".to_owned(), vec![VOCABULARY, WIDTH]),
        ("output_norm".to_owned(), vec![WIDTH]),
    ];
    for layer in 0..2 {
        let shapes: [(&str, &[usize]); 9] = [
            ("attn_norm", &[WIDTH]),
            ("attn_q", &[WIDTH, WIDTH]),
            ("attn_k", &[half, WIDTH]),
            ("attn_v", &[half, WIDTH]),
            ("attn_output", &[WIDTH, WIDTH]),
            ("ffn_norm", &[WIDTH]),
            ("ffn_gate", &[FEED, WIDTH]),
            ("ffn_up", &[FEED, WIDTH]),
            ("ffn_down", &[WIDTH, FEED]),
        ];
        list.extend(shapes.map(|(name, shape)| (format!("blk.{layer}.{name}"), shape.to_vec())));
    }
    let mut tensors: Vec<(String, QTensor)> = Vec::new();
    for (seed, (name, shape)) in list.iter().enumerate() {
        let format = if shape.len() == 1 {
            GgmlDType::F32
        } else {
            GgmlDType::Q8_0
        };
        let plain = if shape.len() == 1 {
            (noise(shape, seed) + 1.0).unwrap()
        } else {
            noise(shape, seed)
        };
        tensors.push((format!("{name}.weight"), QTensor::quantize(&plain, format).unwrap()));
    }
    if own_head {
        let same = QTensor::quantize(&noise(&[VOCABULARY, WIDTH], 0), GgmlDType::Q8_0).unwrap();
        tensors.push(("output.weight".to_owned(), same));
    }
    tensors
}

/// Writes a tiny chat model; `change` may spoil its metadata.
pub(crate) fn gguf(folder: &Path, own_head: bool, change: impl FnOnce(&mut Pairs)) -> PathBuf {
    let mut pairs = pairs();
    change(&mut pairs);
    let path = folder.join("tiny.gguf");
    let metadata: Vec<(&str, &Value)> = pairs.iter().map(|(key, value)| (key.as_str(), value)).collect();
    let tensors = tensors(own_head);
    let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    write(&mut File::create(&path).unwrap(), &metadata, &tensors).unwrap();
    path
}

/// Writes a tiny encoder of 8 dimensions and windows of 6 tokens; its words are `a`, `b`, `c`.
pub(crate) fn bert(folder: &Path) {
    let config = r#"{"model_type": "bert", "vocab_size": 7, "hidden_size": 8, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": 16, "hidden_act": "gelu", "hidden_dropout_prob": 0.0,
        "max_position_embeddings": 6, "type_vocab_size": 2, "initializer_range": 0.02, "layer_norm_eps": 1e-12,
        "pad_token_id": 0}"#;
    std::fs::write(folder.join("config.json"), config).unwrap();
    std::fs::write(folder.join("tokenizer.json"), TOKENIZER).unwrap();
    let mut shapes: Vec<(String, Vec<usize>)> = vec![
        ("embeddings.word_embeddings.weight".into(), vec![7, 8]),
        ("embeddings.position_embeddings.weight".into(), vec![6, 8]),
        ("embeddings.token_type_embeddings.weight".into(), vec![2, 8]),
    ];
    let layer = "encoder.layer.0";
    for (name, out, from) in [
        ("attention.self.query", 8, 8),
        ("attention.self.key", 8, 8),
        ("attention.self.value", 8, 8),
        ("attention.output.dense", 8, 8),
        ("intermediate.dense", 16, 8),
        ("output.dense", 8, 16),
    ] {
        shapes.push((format!("{layer}.{name}.weight"), vec![out, from]));
        shapes.push((format!("{layer}.{name}.bias"), vec![out]));
    }
    let norms = [
        "embeddings",
        "encoder.layer.0.attention.output",
        "encoder.layer.0.output",
    ];
    for part in norms
        .iter()
        .flat_map(|norm| [format!("{norm}.LayerNorm.weight"), format!("{norm}.LayerNorm.bias")])
    {
        shapes.push((part, vec![8]));
    }
    let tensors: HashMap<String, Tensor> = shapes
        .iter()
        .enumerate()
        .map(|(seed, (name, shape))| (name.clone(), noise(shape, seed + 50)))
        .collect();
    candle_core::safetensors::save(&tensors, folder.join("model.safetensors")).unwrap();
}

/// A word-level tokenizer that asks for truncation to four tokens and padding to eight.
pub(crate) const TOKENIZER: &str = r#"{
    "version": "1.0",
    "truncation": {"max_length": 4, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
    "padding": {"strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
                "pad_type_id": 0, "pad_token": "[PAD]"},
    "added_tokens": [], "normalizer": null, "pre_tokenizer": {"type": "Whitespace"},
    "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
    "decoder": null,
    "model": {"type": "WordLevel", "unk_token": "[UNK]",
              "vocab": {"[PAD]": 0, "[CLS]": 1, "[SEP]": 2, "[UNK]": 3, "a": 4, "b": 5, "c": 6}}
}"#;

/// What the registry would say of a tiny model.
pub(crate) fn spec(format: Format, path: PathBuf) -> ModelSpec {
    ModelSpec {
        id: "tiny".to_owned(),
        format,
        path,
        limits: ModelLimits::default(),
    }
}
