//! The port on tiny models: loading, queueing, cancelling, replacing, and what is refused.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use candle_core::quantized::gguf_file::Value;
use encaje_core::chat::{ChatEvent, ChatRequest, Chunk, FinishReason, Input, Sampling, Usage};
use encaje_core::embeddings::{EmbedInput, EmbedRequest, EmbedResponse, Purpose, RerankRequest};
use encaje_core::ports::{Completion, Inference};
use encaje_core::{Problem, ProblemKind};
use tempfile::TempDir;

use crate::pool::Pool;
use crate::slot::Slot;
use crate::testing::{self, CONTEXT, END};
use crate::{Format, GgufModel, LocalModels, ModelError, ModelLimits, ModelSpec, Wanted};

struct Tiny {
    models: LocalModels,
    folder: TempDir,
}

fn tiny(limits: ModelLimits) -> Tiny {
    let folder = tempfile::tempdir().unwrap();
    let path = testing::gguf(folder.path(), false, |_| {});
    let spec = ModelSpec {
        limits,
        ..testing::spec(Format::Gguf, path)
    };
    Tiny {
        models: LocalModels::with_threads(vec![spec], Some(1)).unwrap(),
        folder,
    }
}

fn request(text: &str, most: Option<u32>) -> ChatRequest {
    ChatRequest {
        // Never the end of the turn, so that answers have the length that is asked for.
        sampling: Sampling {
            temperature: Some(0.0),
            logit_bias: vec![(END, -1e6)],
            max_tokens: most,
            choices: 1,
            ..Sampling::default()
        },
        ..ChatRequest::question("tiny", text)
    }
}

async fn drain(mut completion: Box<dyn Completion>) -> Result<Vec<Chunk>, Problem> {
    let mut chunks = Vec::new();
    while let Some(more) = completion.next().await? {
        assert!(!more.is_empty(), "an empty batch makes the caller spin");
        chunks.extend(more);
    }
    Ok(chunks)
}

async fn answer(models: &LocalModels, request: ChatRequest) -> Result<Vec<Chunk>, Problem> {
    drain(models.generate(request).await?).await
}

fn usage(chunks: &[Chunk]) -> Usage {
    match &chunks.last().unwrap().event {
        ChatEvent::Usage(usage) => usage.clone(),
        other => panic!("the last event is {other:?}"),
    }
}

fn reasons(chunks: &[Chunk]) -> Vec<(u32, FinishReason)> {
    let reason = |chunk: &Chunk| match &chunk.event {
        ChatEvent::Finish(reason) => Some((chunk.choice, reason.clone())),
        _ => None,
    };
    chunks.iter().filter_map(reason).collect()
}

#[tokio::test]
async fn an_answer_has_its_length_its_end_and_its_usage() {
    let Tiny {
        models,
        folder: _folder,
    } = tiny(ModelLimits::default());
    let chunks = answer(&models, request("hey", Some(5))).await.unwrap();
    assert_eq!(reasons(&chunks), [(0, FinishReason::Length)]);
    // <|im_start|>, "user:", "he" as one token, "y", <|im_end|>.
    assert_eq!(
        usage(&chunks),
        Usage {
            input_tokens: 9,
            output_tokens: 5,
            ..Usage::default()
        }
    );
    assert_eq!(models.count_tokens(request("hey", None)).await.unwrap(), 9);
    let mut forced = request("hey", Some(5));
    forced.sampling.logit_bias = vec![(END, 1e6)];
    let chunks = answer(&models, forced).await.unwrap();
    assert_eq!(reasons(&chunks), [(0, FinishReason::Stop)]);
    assert_eq!(usage(&chunks).output_tokens, 0);
}

#[tokio::test]
async fn the_context_is_a_typed_error_before_and_an_end_after() {
    let Tiny {
        models,
        folder: _folder,
    } = tiny(ModelLimits::default());
    let chunks = answer(&models, request("hey", None)).await.unwrap();
    assert_eq!(reasons(&chunks), [(0, FinishReason::Length)]);
    assert_eq!(usage(&chunks).output_tokens, u64::from(CONTEXT) - 9);
    for length in [CONTEXT as usize - 7, 100, 1_000_000] {
        let problem = answer(&models, request(&"x".repeat(length), Some(1)))
            .await
            .unwrap_err();
        assert_eq!(problem.kind, ProblemKind::ContextExceeded);
        assert_eq!(problem.code.as_deref(), Some("context_length_exceeded"));
        assert_eq!(problem.param.as_deref(), Some("messages"));
    }
    // One token less, and there is room for just one of an answer.
    let chunks = answer(&models, request(&"x".repeat(CONTEXT as usize - 8), None))
        .await
        .unwrap();
    assert_eq!(
        usage(&chunks),
        Usage {
            input_tokens: 63,
            output_tokens: 1,
            ..Usage::default()
        }
    );
}

#[tokio::test]
async fn choices_share_a_prompt_and_each_ends() {
    let Tiny {
        models,
        folder: _folder,
    } = tiny(ModelLimits::default());
    let mut several = request("hey", Some(6));
    several.sampling.choices = 3;
    several.sampling.temperature = Some(2.0);
    several.sampling.seed = Some(1);
    let chunks = answer(&models, several.clone()).await.unwrap();
    assert_eq!(reasons(&chunks).len(), 3);
    assert_eq!(
        usage(&chunks),
        Usage {
            input_tokens: 9,
            output_tokens: 18,
            ..Usage::default()
        }
    );
    assert_eq!(
        answer(&models, several).await.unwrap(),
        chunks,
        "a seed repeats every choice"
    );
}

#[tokio::test]
async fn prompts_and_tokens_are_read_without_a_template() {
    let Tiny {
        models,
        folder: _folder,
    } = tiny(ModelLimits::default());
    let mut raw = request("", Some(3));
    raw.input = Input::Prompt("he<|im_end|>".into());
    let by_text = answer(&models, raw.clone()).await.unwrap();
    assert_eq!(usage(&by_text).input_tokens, 2);
    raw.input = Input::Tokens(vec![256, END]);
    assert_eq!(answer(&models, raw.clone()).await.unwrap(), by_text);
    for (input, param) in [
        (Input::Tokens(vec![9_999]), "prompt"),
        (Input::Tokens(Vec::new()), "prompt"),
        (Input::Prompt(String::new()), "prompt"),
        (Input::Messages(Vec::new()), "messages"),
    ] {
        raw.input = input;
        let problem = answer(&models, raw.clone()).await.unwrap_err();
        assert_eq!(
            (problem.kind, problem.param.as_deref()),
            (ProblemKind::InvalidRequest, Some(param))
        );
    }
    raw.input = Input::Prompt("he".into());
    raw.sampling.logit_bias = vec![(9_999, 1.0)];
    assert_eq!(
        answer(&models, raw).await.unwrap_err().param.as_deref(),
        Some("logit_bias")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_overloaded_and_a_dropped_answer_makes_room() {
    let Tiny {
        models,
        folder: _folder,
    } = tiny(ModelLimits {
        active: 1,
        waiting: 1,
        context_tokens: None,
    });
    // Nobody reads these, so the first pauses in the middle and the second waits behind it.
    let first = models.generate(request("hey", None)).await.unwrap();
    let second = models.generate(request("hey", None)).await.unwrap();
    let problem = models.generate(request("hey", None)).await.err().unwrap();
    assert_eq!(problem.kind, ProblemKind::Overloaded);
    assert!(problem.retry_after.is_some());
    drop(first);
    let chunks = drain(second).await.unwrap();
    assert_eq!(usage(&chunks).output_tokens, u64::from(CONTEXT) - 9);
    let mut tries = 0;
    while models.generate(request("hey", Some(1))).await.is_err() {
        tries += 1;
        assert!(tries < 500, "the place of a dropped answer must come back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_does_not_read_keeps_nobody_else_waiting() {
    let Tiny {
        models,
        folder: _folder,
    } = tiny(ModelLimits::default());
    let stalled = models.generate(request("hey", None)).await.unwrap();
    let others = (0..4).map(|_| answer(&models, request("hello", Some(40))));
    for chunks in futures_all(others).await {
        assert_eq!(usage(&chunks.unwrap()).output_tokens, 40);
    }
    assert_eq!(
        usage(&drain(stalled).await.unwrap()).output_tokens,
        u64::from(CONTEXT) - 9
    );
}

async fn futures_all<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut done = Vec::new();
    for one in all {
        done.push(one.await);
    }
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_ask_first_it_is_loaded_once() {
    let folder = tempfile::tempdir().unwrap();
    let spec = testing::spec(Format::Gguf, testing::gguf(folder.path(), false, |_| {}));
    let slot = Arc::new(Slot::new(spec, Arc::new(Pool::new(Some(1)).unwrap())));
    assert!(slot.present().is_none());
    let waiting: Vec<_> = (0..16)
        .map(|_| {
            let slot = Arc::clone(&slot);
            tokio::spawn(async move { slot.loaded().await.unwrap() })
        })
        .collect();
    let present = slot.loaded().await.unwrap();
    for other in waiting {
        assert!(Arc::ptr_eq(&present, &other.await.unwrap()));
    }
}

#[tokio::test]
async fn a_missing_file_names_the_remedy_and_the_next_request_tries_again() {
    let folder = tempfile::tempdir().unwrap();
    let spec = testing::spec(Format::Gguf, folder.path().join("tiny.gguf"));
    let models = LocalModels::new(vec![spec]).unwrap();
    let problem = answer(&models, request("hey", Some(1))).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::Misconfigured);
    insta::assert_snapshot!(problem.message, @"The model `tiny` is not on this machine. Run `encaje model pull tiny`.");
    assert!(!models.models()[0].loaded && models.models()[0].context_tokens == 0);
    testing::gguf(folder.path(), false, |_| {});
    assert!(answer(&models, request("hey", Some(1))).await.is_ok());
    assert!(models.models()[0].loaded && models.models()[0].context_tokens == CONTEXT);
}

fn open(change: impl FnOnce(&mut testing::Pairs)) -> ModelError {
    let folder = tempfile::tempdir().unwrap();
    let path = testing::gguf(folder.path(), false, change);
    GgufModel::open(&path, None).map(|_| ()).unwrap_err()
}

#[test]
fn files_of_another_kind_are_refused_by_name() {
    let text = |text: &str| Value::String(text.to_owned());
    let set =
        |key: &'static str, value: Value| open(move |pairs| drop(pairs.insert(key.to_owned(), value))).to_string();
    insta::assert_snapshot!(set("general.architecture", text("mamba")), @"architecture `mamba` is not supported");
    insta::assert_snapshot!(
        set("llama.expert_count", Value::U32(8)),
        @"architecture `llama with 8 experts` is not supported"
    );
    insta::assert_snapshot!(set("tokenizer.ggml.pre", text("dinosaur")), @"pre-tokenizer `dinosaur` is not supported");
    insta::assert_snapshot!(set("tokenizer.ggml.model", text("llama")), @"tokenizer `llama` is not supported");
    insta::assert_snapshot!(set("llama.rope.scaling.type", text("yarn")), @"rope scaling `yarn` is not supported");
    insta::assert_snapshot!(
        set("llama.block_count", Value::U32(9_999)),
        @"the model's file is damaged or of another kind: the key `llama.block_count` is not from 1 to 512"
    );
    insta::assert_snapshot!(
        set("llama.feed_forward_length", Value::U32(96)),
        @"the model's file is damaged or of another kind: the tensor `blk.0.ffn_gate.weight` is [64, 32], not 96 × 32"
    );
    insta::assert_snapshot!(
        set("tokenizer.ggml.merges", Value::Array(vec![text("nothing")])),
        @"the model's file is damaged or of another kind: the merge `nothing` has no two parts"
    );
    let missing = open(|pairs| drop(pairs.remove("llama.context_length"))).to_string();
    insta::assert_snapshot!(
        missing,
        @"the model's file is damaged or of another kind: the key `llama.context_length` is missing"
    );
}

#[test]
fn a_damaged_file_is_an_error_wherever_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = testing::gguf(folder.path(), false, |_| {});
    let whole = std::fs::read(&path).unwrap();
    let pool = Arc::new(Pool::new(Some(1)).unwrap());
    for length in (0..whole.len()).step_by(whole.len() / 40) {
        std::fs::write(&path, &whole[..length]).unwrap();
        let spec = testing::spec(Format::Gguf, path.clone());
        let error = crate::loaded::Loaded::load(&spec, &pool).map(|_| ()).unwrap_err();
        assert!(matches!(error, ModelError::Malformed(_)), "{length}: {error}");
        assert_eq!(error.to_problem("tiny").kind, ProblemKind::Misconfigured);
    }
}

#[test]
fn a_head_of_its_own_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let logits = |own_head: bool| {
        let loaded = GgufModel::open(&testing::gguf(folder.path(), own_head, |_| {}), None).unwrap();
        let mut cache = loaded.model().cache(8).unwrap();
        loaded.model().prefill(&mut cache, &[1, 2, 3], Wanted::Every).unwrap()
    };
    let (tied, own) = (logits(false), logits(true));
    assert_eq!((tied.vocabulary, tied.values.len()), (259, 3 * 259));
    assert_eq!(tied, own, "the head of this file has the embeddings' own weights");
}

#[tokio::test]
async fn a_cache_takes_no_more_than_it_has_room_for() {
    let folder = tempfile::tempdir().unwrap();
    let loaded = GgufModel::open(&testing::gguf(folder.path(), false, |_| {}), None).unwrap();
    let mut cache = loaded.model().cache(2).unwrap();
    assert!(loaded.model().prefill(&mut cache, &[1, 2, 3], Wanted::Last).is_err());
    assert!(loaded.model().prefill(&mut cache, &[1_000_000], Wanted::Last).is_err());
    assert!(loaded.model().prefill(&mut cache, &[1, 2], Wanted::Last).is_ok());
    assert!(loaded.model().embed(&[&[1]]).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_registry_shares_what_is_unchanged_and_leaves_the_first_as_it_is() {
    let Tiny { models, folder } = tiny(ModelLimits::default());
    let running = models.generate(request("hey", None)).await.unwrap();
    let path = folder.path().join("tiny.gguf");
    let same = models.with(vec![testing::spec(Format::Gguf, path.clone())]);
    assert!(same.models()[0].loaded, "an unchanged model stays in memory");
    let limits = ModelLimits {
        context_tokens: Some(32),
        ..ModelLimits::default()
    };
    let changed = models.with(vec![ModelSpec {
        limits,
        ..testing::spec(Format::Gguf, path)
    }]);
    assert!(!changed.models()[0].loaded, "a changed one is read again");
    let chunks = answer(&changed, request("hey", None)).await.unwrap();
    assert_eq!(usage(&chunks).output_tokens, 32 - 9);
    let none = changed.with(Vec::new());
    let problem = answer(&none, request("hey", None)).await.unwrap_err();
    assert_eq!(
        (problem.kind, problem.code.as_deref()),
        (ProblemKind::NotFound, Some("model_not_found"))
    );
    drop((same, changed, none));
    assert!(
        answer(&models, request("hey", None)).await.is_ok(),
        "the first registry's calls go on"
    );
    assert_eq!(
        usage(&drain(running).await.unwrap()).output_tokens,
        u64::from(CONTEXT) - 9
    );
}

fn encoder() -> (LocalModels, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    testing::bert(folder.path());
    let spec = testing::spec(Format::SentenceTransformer, PathBuf::from(folder.path()));
    (LocalModels::with_threads(vec![spec], Some(1)).unwrap(), folder)
}

fn embed(inputs: Vec<EmbedInput>) -> EmbedRequest {
    EmbedRequest {
        model: "tiny".into(),
        inputs,
        purpose: Purpose::Unspecified,
        dimensions: None,
        extra: Vec::new(),
    }
}

fn texts(texts: &[&str]) -> EmbedRequest {
    embed(texts.iter().map(|text| EmbedInput::Text((*text).to_owned())).collect())
}

#[tokio::test]
async fn texts_of_any_length_are_embedded_whole() {
    let (models, _folder) = encoder();
    let long = "a b c ".repeat(500);
    let answer = models.embed(texts(&["a", "a b c a b c a", &long, "a"])).await.unwrap();
    assert_eq!((answer.dimensions, answer.vectors.len()), (8, 32));
    assert_eq!(answer.covered, [1, 7, 1_500, 1]);
    let rows: Vec<&[f32]> = answer.vectors.chunks(8).collect();
    for row in &rows {
        assert!((row.iter().map(|value| value * value).sum::<f32>() - 1.0).abs() < 1e-5);
    }
    let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
    assert!(near(rows[0], rows[3]) && !near(rows[0], rows[1]));
    // Padding and company change nothing.
    let alone = models.embed(texts(&["a b c a b c a"])).await.unwrap();
    assert!(near(&alone.vectors, rows[1]));
    let by_tokens = models
        .embed(embed(vec![EmbedInput::Tokens(vec![1, 4, 2])]))
        .await
        .unwrap();
    assert!(near(&by_tokens.vectors, rows[0]));
    assert_eq!(by_tokens.usage.input_tokens, 3);
}

#[tokio::test]
async fn what_cannot_be_embedded_is_named() {
    let (models, folder) = encoder();
    let refused = async |change: &dyn Fn(&mut EmbedRequest)| {
        let mut request = texts(&["a", "b"]);
        change(&mut request);
        let answer: Result<EmbedResponse, Problem> = models.embed(request).await;
        let problem = answer.unwrap_err();
        (problem.kind, problem.param.unwrap_or_default())
    };
    use ProblemKind::{InvalidRequest, NotFound, TooLarge, Unsupported};
    assert_eq!(refused(&|r| r.inputs.clear()).await, (InvalidRequest, "input".into()));
    assert_eq!(
        refused(&|r| r.inputs[1] = EmbedInput::Text(String::new())).await,
        (InvalidRequest, "input[1]".into())
    );
    assert_eq!(
        refused(&|r| r.inputs[1] = EmbedInput::Tokens(vec![7])).await,
        (InvalidRequest, "input[1]".into())
    );
    assert_eq!(
        refused(&|r| r.inputs[0] = EmbedInput::Text("a".repeat(9 << 20))).await,
        (TooLarge, "input[0]".into())
    );
    assert_eq!(
        refused(&|r| r.dimensions = Some(4)).await,
        (Unsupported, "dimensions".into())
    );
    assert_eq!(
        refused(&|r| r.extra.push(("user".into(), "1".into()))).await,
        (Unsupported, "user".into())
    );
    assert_eq!(refused(&|r| r.model = "other".into()).await, (NotFound, "model".into()));
    let problem = models.generate(request("hey", None)).await.err().unwrap();
    assert_eq!((problem.kind, problem.param.as_deref()), (Unsupported, Some("model")));
    let ranking = RerankRequest {
        model: "tiny".into(),
        query: "a".into(),
        documents: vec!["b".into()],
        top: None,
        extra: Vec::new(),
    };
    assert_eq!(models.rerank(ranking).await.unwrap_err().kind, Unsupported);
    let Tiny {
        models: chat,
        folder: _chat_folder,
    } = tiny(ModelLimits::default());
    assert_eq!(chat.embed(texts(&["a"])).await.unwrap_err().kind, Unsupported);
    std::fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
    let fresh = LocalModels::new(vec![testing::spec(Format::SentenceTransformer, folder.path().into())]).unwrap();
    assert_eq!(
        fresh.embed(texts(&["a"])).await.unwrap_err().kind,
        ProblemKind::Misconfigured
    );
}
