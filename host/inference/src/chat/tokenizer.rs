//! The tokenizer of a GGUF file: byte-level BPE from its own tokens, merges and `tokenizer.ggml.pre`.
//!
//! candle's reader of the same keys adds a space at the front and knows no `pre`, hence this one. Texts are split as
//! llama.cpp splits them for the same `pre`; an unknown one is an error, since a near miss changes ids silently. Control
//! tokens in a text are taken as such. Sentencepiece files (`tokenizer.ggml.model = "llama"`) are refused.

use std::collections::HashSet;

use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, PreTokenizerWrapper, SplitDelimiterBehavior, Tokenizer};

use crate::error::ModelError;
use crate::gguf::Metadata;
use crate::limits::VOCABULARY;

/// Token types of GGUF that are more than plain text.
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;

/// GPT-2's split: contractions, words, numbers and signs with the space before them, spaces.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
/// Every digit for itself; the first of two passes.
const DIGIT: &str = r"\p{N}";
/// Llama 3's split: numbers by three digits, line ends kept together.
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Qwen 2's split: as Llama 3's with single digits.
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Texts of tokens at which models end their turn, beside those that the metadata names.
const ENDS: [&str; 8] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "</s>",
];

/// How a `pre` splits texts, whether whole words of the vocabulary skip the merges, and whether texts begin with BOS
/// where the file does not say.
struct Pre {
    patterns: &'static [&'static str],
    ignore_merges: bool,
    begins: bool,
}

fn pre(name: &str) -> Option<Pre> {
    let (patterns, ignore_merges, begins): (&'static [&'static str], _, _) = match name {
        "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" | "exaone" => (&[DIGIT, GPT2], false, false),
        "gpt-2" | "gpt2" | "phi-2" | "jina-es" | "jina-de" | "mpt" | "olmo" | "jais" => (&[GPT2], false, false),
        "llama-bpe" | "llama3" | "llama-v3" | "smaug-bpe" => (&[LLAMA3], true, true),
        "qwen2" | "stablelm2" | "deepseek-r1-qwen" | "megrez" => (&[QWEN2], false, false),
        _ => return None,
    };
    Some(Pre {
        patterns,
        ignore_merges,
        begins,
    })
}

/// Texts to token ids and token ids to bytes.
pub(crate) struct Vocabulary {
    tokenizer: Tokenizer,
    /// What each token puts into a text; nothing for control tokens.
    bytes: Vec<Vec<u8>>,
    ends: HashSet<u32>,
    /// Put before a text, where the model wants it.
    begin: Option<u32>,
    longest: usize,
    begin_text: String,
    end_text: String,
}

impl Vocabulary {
    /// Builds it from a file's metadata.
    ///
    /// # Errors
    /// `Unknown` for another kind of tokenizer, `Malformed` where lists do not fit together.
    pub(crate) fn new(metadata: &Metadata<'_>) -> Result<Self, ModelError> {
        let model = metadata.need_text("tokenizer.ggml.model")?;
        if model != "gpt2" {
            return Err(ModelError::Unknown {
                what: "tokenizer",
                value: model.to_owned(),
            });
        }
        let name = metadata.text("tokenizer.ggml.pre")?.unwrap_or("gpt-2");
        let unknown = || ModelError::Unknown {
            what: "pre-tokenizer",
            value: name.to_owned(),
        };
        let pre = pre(name).ok_or_else(unknown)?;
        let tokens = metadata.need_texts("tokenizer.ggml.tokens")?;
        let kinds = metadata
            .numbers("tokenizer.ggml.token_type")?
            .unwrap_or_else(|| vec![1; tokens.len()]);
        if kinds.len() != tokens.len() || tokens.is_empty() || tokens.len() > VOCABULARY {
            let counts = format!("{} tokens with {} types", tokens.len(), kinds.len());
            return Err(ModelError::Malformed(counts));
        }
        let tokenizer = tokenizer(metadata, &tokens, &kinds, &pre)?;
        let bytes: Vec<Vec<u8>> = tokens
            .iter()
            .zip(&kinds)
            .map(|(token, kind)| token_bytes(token, *kind))
            .collect();
        let id = |key: &str| -> Result<Option<u32>, ModelError> {
            let id = metadata.number(key)?.filter(|id| *id < tokens.len());
            Ok(id.and_then(|id| u32::try_from(id).ok()))
        };
        let special = tokens
            .iter()
            .zip(&kinds)
            .zip(0u32..)
            .filter(|((token, kind), _)| **kind == CONTROL && ENDS.contains(token));
        let mut ends: HashSet<u32> = special.map(|(_, id)| id).collect();
        let end = id("tokenizer.ggml.eos_token_id")?;
        ends.extend(end);
        ends.extend(id("tokenizer.ggml.eot_token_id")?);
        let start = id("tokenizer.ggml.bos_token_id")?;
        let text = |id: Option<u32>| id.and_then(|id| tokens.get(id as usize)).map(|text| (*text).to_owned());
        Ok(Self {
            longest: tokens.iter().map(|token| token.len()).max().unwrap_or(1),
            tokenizer,
            bytes,
            ends,
            begin: start.filter(|_| {
                matches!(metadata.switch("tokenizer.ggml.add_bos_token"), Ok(Some(true))) || {
                    pre.begins && !matches!(metadata.switch("tokenizer.ggml.add_bos_token"), Ok(Some(false)))
                }
            }),
            begin_text: text(start).unwrap_or_default(),
            end_text: text(end).unwrap_or_default(),
        })
    }

    /// The tokens of a text, with the model's first token in front where it wants one and the text has none.
    ///
    /// # Errors
    /// `Failed` where the text defeats the splitter (it gives up on absurd repetitions rather than run for ever).
    pub(crate) fn encode(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        let failed = |error| ModelError::Failed(format!("the text cannot be tokenized: {error}"));
        let encoding = self.tokenizer.encode_fast(text, false).map_err(failed)?;
        let ids = encoding.get_ids();
        let missing = self.begin.filter(|begin| ids.first() != Some(begin));
        Ok(missing.into_iter().chain(ids.iter().copied()).collect())
    }

    /// What a token puts into a text; nothing for control tokens and unknown ids.
    pub(crate) fn bytes(&self, token: u32) -> &[u8] {
        self.bytes.get(token as usize).map_or(&[], Vec::as_slice)
    }

    /// Whether the model ends its turn with this token.
    pub(crate) fn ends(&self, token: u32) -> bool {
        self.ends.contains(&token)
    }

    /// Token ids are below this.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes of the longest token: a text has at least its own bytes divided by this many tokens.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// The texts of the first and the last token, for the chat template.
    pub(crate) fn marks(&self) -> (&str, &str) {
        (&self.begin_text, &self.end_text)
    }
}

fn tokenizer(metadata: &Metadata<'_>, tokens: &[&str], kinds: &[i64], pre: &Pre) -> Result<Tokenizer, ModelError> {
    let malformed = |error: Box<dyn std::error::Error + Send + Sync>| ModelError::Malformed(error.to_string());
    let vocab: Vocab = tokens.iter().map(|token| (*token).to_owned()).zip(0u32..).collect();
    let merges = metadata.need_texts("tokenizer.ggml.merges")?;
    let merges = merges.iter().map(|merge| {
        let parts = merge
            .split_once(' ')
            .map(|(left, right)| (left.to_owned(), right.to_owned()));
        parts.ok_or_else(|| ModelError::Malformed(format!("the merge `{merge}` has no two parts")))
    });
    let model = BPE::builder()
        .vocab_and_merges(vocab, merges.collect::<Result<Vec<_>, _>>()?)
        .ignore_merges(pre.ignore_merges)
        .build()
        .map_err(malformed)?;
    let mut steps: Vec<PreTokenizerWrapper> = Vec::new();
    for pattern in pre.patterns {
        let split = Split::new(
            SplitPattern::Regex((*pattern).to_owned()),
            SplitDelimiterBehavior::Isolated,
            false,
        );
        steps.push(split.map_err(malformed)?.into());
    }
    steps.push(ByteLevel::new(false, false, false).into());
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_pre_tokenizer(Some(Sequence::new(steps)));
    let of_kind = |wanted: i64, special: bool| -> Vec<AddedToken> {
        let pairs = tokens
            .iter()
            .zip(kinds)
            .filter(|(token, kind)| **kind == wanted && !token.is_empty());
        pairs
            .map(|(token, _)| AddedToken::from(*token, special).normalized(false))
            .collect()
    };
    tokenizer.add_special_tokens(&of_kind(CONTROL, true));
    tokenizer.add_tokens(&of_kind(USER_DEFINED, false));
    Ok(tokenizer)
}

fn token_bytes(token: &str, kind: i64) -> Vec<u8> {
    match kind {
        CONTROL => Vec::new(),
        USER_DEFINED => token.as_bytes().to_vec(),
        _ => {
            let bytes: Option<Vec<u8>> = token.chars().map(byte_of).collect();
            bytes.unwrap_or_else(|| token.as_bytes().to_vec())
        }
    }
}

/// The byte that a character of a byte-level vocabulary stands for: printable ones stand for themselves, the other 68 are
/// counted up from U+0100.
fn byte_of(character: char) -> Option<u8> {
    let code = u32::from(character);
    let itself = |code: u32| matches!(code, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    if itself(code) {
        return u8::try_from(code).ok();
    }
    let index = usize::try_from(code.checked_sub(0x100)?).ok()?;
    (0..=255u8).filter(|byte| !itself(u32::from(*byte))).nth(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_one_character() {
        assert_eq!(byte_of('A'), Some(b'A'));
        assert_eq!(byte_of('Ġ'), Some(b' '));
        assert_eq!(byte_of('Ċ'), Some(b'\n'));
        assert_eq!(byte_of('ł'), Some(0xa0));
        assert_eq!(byte_of('日'), None);
        let bytes: HashSet<u8> = (0x21..0x200).filter_map(char::from_u32).filter_map(byte_of).collect();
        assert_eq!(bytes.len(), 256);
    }
}
