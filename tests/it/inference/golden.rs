//! The native models against llama.cpp and a float64 reference, on the real files.
//!
//! The values, and how they were made, are in `tests/golden/`. How requests fare is in the module above.

use std::collections::BTreeMap;
use std::path::PathBuf;

use encaje_core::chat::{Message, Role};
use encaje_core::embeddings::EmbedInput;
use encaje_core::ports::Inference;
use encaje_inference::{GgufModel, Next, Wanted};
use serde::Deserialize;

use super::{embed, models};

/// How far apart llama.cpp's two best logits may lie where another greedy token is chosen.
const NEAR: f64 = 0.3;

#[derive(Deserialize)]
struct Golden {
    tokenized: Vec<Tokenized>,
    splits: BTreeMap<String, Vec<Tokenized>>,
    prompts: Vec<Prompt>,
    perplexity: Perplexity,
}

#[derive(Deserialize)]
struct Tokenized {
    text: String,
    ids: Vec<u32>,
}

#[derive(Deserialize)]
struct Prompt {
    name: String,
    messages: Vec<Turn>,
    rendered: String,
    ids: Vec<u32>,
    greedy: Vec<u32>,
    gaps: Vec<f64>,
}

#[derive(Deserialize)]
struct Turn {
    role: String,
    content: String,
}

#[derive(Deserialize)]
struct Perplexity {
    tokens: usize,
    value: f64,
}

#[derive(Deserialize)]
struct Sentences {
    sentences: Vec<Sentence>,
}

#[derive(Deserialize)]
struct Sentence {
    text: String,
    ids: Vec<u32>,
    vector: Vec<f64>,
}

fn golden(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    std::fs::read_to_string(path).unwrap()
}

fn chat_golden() -> Golden {
    serde_json::from_str(&golden("smollm2.json")).unwrap()
}

fn gguf() -> GgufModel {
    GgufModel::open(&crate::support::models_dir().join("smollm2.gguf"), None).unwrap()
}

fn messages(turns: &[Turn]) -> Vec<Message> {
    let role = |word: &str| match word {
        "system" => Role::System,
        "assistant" => Role::Assistant,
        _ => Role::User,
    };
    turns
        .iter()
        .map(|turn| Message::text(role(&turn.role), &turn.content))
        .collect()
}

fn best(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (token, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = token;
        }
    }
    best as u32
}

#[test]
fn token_ids_are_those_of_llama_cpp() {
    let (model, golden) = (gguf(), chat_golden());
    assert_eq!(model.tokenize("Hello world").unwrap(), [19556, 905]);
    for case in &golden.tokenized {
        assert_eq!(model.tokenize(&case.text).unwrap(), case.ids, "{:?}", case.text);
    }
    for prompt in &golden.prompts {
        let rendered = model.render(&messages(&prompt.messages)).unwrap();
        assert_eq!(rendered, prompt.rendered, "{}", prompt.name);
        assert_eq!(model.tokenize(&rendered).unwrap(), prompt.ids, "{}", prompt.name);
    }
}

/// Replaces the text value of a key in the head of a GGUF file.
fn replace(data: &mut Vec<u8>, key: &str, change: impl FnOnce(&[u8]) -> Vec<u8>) {
    let at = data
        .windows(key.len())
        .position(|window| window == key.as_bytes())
        .unwrap()
        + key.len()
        + 4;
    let length = u64::from_le_bytes(data[at..at + 8].try_into().unwrap()) as usize;
    let value = change(&data[at + 8..at + 8 + length]);
    let length_and_value = [(value.len() as u64).to_le_bytes().to_vec(), value].concat();
    data.splice(at..at + 8 + length, length_and_value);
}

#[test]
fn other_splits_of_the_same_vocabulary_are_those_of_llama_cpp() {
    let whole = std::fs::read(crate::support::models_dir().join("smollm2.gguf")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (name, cases) in chat_golden().splits {
        let mut data = whole.clone();
        replace(&mut data, "tokenizer.ggml.pre", |_| name.clone().into_bytes());
        // What one value gains another loses, so that every offset stays as it was.
        replace(&mut data, "general.license", |own| {
            let mut own = own.to_vec();
            own.resize(own.len() + "smollm".len() - name.len(), b' ');
            own
        });
        let path = folder.path().join("model.gguf");
        std::fs::write(&path, data).unwrap();
        let model = GgufModel::open(&path, None).unwrap();
        for case in &cases {
            let ids = model.tokenize(&case.text).unwrap();
            assert_eq!(ids, case.ids, "{name}: {:?}", case.text);
        }
    }
}

#[test]
fn greedy_answers_are_those_of_llama_cpp() {
    let (model, golden) = (gguf(), chat_golden());
    let model = model.model();
    for prompt in &golden.prompts {
        let mut cache = model.cache(prompt.ids.len() + prompt.greedy.len()).unwrap();
        let mut logits = model.prefill(&mut cache, &prompt.ids, Wanted::Last).unwrap();
        println!("{}: {} tokens", prompt.name, prompt.greedy.len());
        for (step, (expected, gap)) in prompt.greedy.iter().zip(&prompt.gaps).enumerate() {
            let token = best(&logits.values);
            if token != *expected {
                println!("{}: another token at {step}, the best two are {gap} apart", prompt.name);
                assert!(
                    *gap <= NEAR,
                    "{}: token {step} is {token}, not {expected}, by {gap}",
                    prompt.name
                );
                break;
            }
            logits = model
                .decode(&mut [Next {
                    cache: &mut cache,
                    token,
                }])
                .unwrap();
        }
    }
}

#[test]
fn perplexity_is_that_of_llama_cpp() {
    let (model, golden) = (gguf(), chat_golden().perplexity);
    let tokens = model.tokenize(&self::golden("perplexity.txt")).unwrap();
    let tokens = &tokens[..golden.tokens];
    let model = model.model();
    let mut cache = model.cache(tokens.len()).unwrap();
    let mut total = 0.0;
    let mut position = 0;
    for piece in tokens.chunks(250) {
        let logits = model.prefill(&mut cache, piece, Wanted::Every).unwrap();
        for row in logits.rows() {
            position += 1;
            let Some(next) = tokens.get(position) else { break };
            let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f64 = row.iter().map(|logit| f64::from(logit - top).exp()).sum();
            total += sum.ln() - f64::from(row[*next as usize] - top);
        }
    }
    let own = (total / (tokens.len() - 1) as f64).exp();
    let apart = (own / golden.value - 1.0).abs();
    println!(
        "perplexity {own:.4}, llama.cpp's {:.4}: {:.3} % apart",
        golden.value,
        apart * 100.0
    );
    assert!(apart <= 0.01, "{own} against {}", golden.value);
}

#[test]
fn a_batch_changes_no_bit_of_an_answer() {
    let (model, golden) = (gguf(), chat_golden());
    let model = model.model();
    let prompts: Vec<&[u32]> = golden.prompts.iter().map(|prompt| prompt.ids.as_slice()).collect();
    let start = |ids: &[u32]| {
        let mut cache = model.cache(ids.len() + 8).unwrap();
        model.prefill(&mut cache, ids, Wanted::Nothing).unwrap();
        cache
    };
    let alone: Vec<Vec<f32>> = prompts
        .iter()
        .map(|ids| {
            model
                .decode(&mut [Next {
                    cache: &mut start(ids),
                    token: 28,
                }])
                .unwrap()
                .values
        })
        .collect();
    let mut caches: Vec<_> = prompts.iter().map(|ids| start(ids)).collect();
    let mut batch: Vec<Next<'_>> = caches.iter_mut().map(|cache| Next { cache, token: 28 }).collect();
    let together = model.decode(&mut batch).unwrap();
    assert!(together.rows().zip(&alone).all(|(row, alone)| row == alone));
    // Nor does it matter in how many pieces a prompt is read.
    let mut cache = model.cache(64).unwrap();
    for piece in prompts[0].chunks(7) {
        model.prefill(&mut cache, piece, Wanted::Nothing).unwrap();
    }
    let pieces = model
        .decode(&mut [Next {
            cache: &mut cache,
            token: 28,
        }])
        .unwrap();
    assert_eq!(pieces.values, alone[0]);
}

#[tokio::test]
async fn sentence_vectors_are_those_of_the_reference() {
    let models = models();
    let golden: Sentences = serde_json::from_str(&golden("minilm.json")).unwrap();
    let inputs = golden
        .sentences
        .iter()
        .map(|sentence| EmbedInput::Text(sentence.text.clone()))
        .collect();
    let answer = models.embed(embed(inputs)).await.unwrap();
    assert_eq!(answer.dimensions, 384);
    let ids = golden
        .sentences
        .iter()
        .map(|sentence| EmbedInput::Tokens(sentence.ids.clone()))
        .collect();
    let by_tokens = models.embed(embed(ids)).await.unwrap();
    for (index, sentence) in golden.sentences.iter().enumerate() {
        assert_eq!(
            answer.covered[index] as usize,
            sentence.ids.len() - 2,
            "{:?}",
            sentence.text
        );
        for vectors in [&answer.vectors, &by_tokens.vectors] {
            let own = &vectors[index * 384..][..384];
            let cosine = cosine(own, &sentence.vector);
            println!("{} tokens: cosine {cosine:.8}", sentence.ids.len());
            assert!(cosine >= 0.9999, "{cosine} {:?}", sentence.text);
        }
    }
}

fn cosine(own: &[f32], other: &[f64]) -> f64 {
    let dot: f64 = own.iter().zip(other).map(|(a, b)| f64::from(*a) * b).sum();
    let size: f64 = own.iter().map(|a| f64::from(*a).powi(2)).sum::<f64>().sqrt();
    dot / size / other.iter().map(|b| b * b).sum::<f64>().sqrt()
}

#[tokio::test]
async fn a_long_text_is_embedded_to_its_last_token() {
    let models = models();
    let text = golden("perplexity.txt");
    let changed = format!("{text} Penguins vote for cheese.");
    let inputs = vec![EmbedInput::Text(text), EmbedInput::Text(changed)];
    let answer = models.embed(embed(inputs)).await.unwrap();
    assert!(
        answer.covered[0] > 1_800 && answer.covered[1] >= answer.covered[0] + 5,
        "{:?}",
        answer.covered
    );
    let (first, second) = answer.vectors.split_at(384);
    assert_ne!(first, second, "the last sentence must count");
    let other: Vec<f64> = second.iter().map(|value| f64::from(*value)).collect();
    assert!(cosine(first, &other) > 0.95);
    let size: f32 = first.iter().map(|value| value * value).sum();
    assert!((size - 1.0).abs() < 1e-5);
}
