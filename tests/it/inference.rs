//! The native models on real files, through the port: streams, choices, stops, limits and cancellation.
//!
//! What needs no real model is tested in `encaje-inference` itself; what the models say is compared in `golden`.

mod golden;

use std::sync::Arc;
use std::time::{Duration, Instant};

use encaje_core::chat::{ChatEvent, ChatRequest, Chunk, FinishReason, Input, Sampling, Usage};
use encaje_core::embeddings::{EmbedInput, EmbedRequest, Purpose};
use encaje_core::ports::Inference;
use encaje_core::{Problem, ProblemKind};
use encaje_inference::{Format, LocalModels, ModelLimits, ModelSpec};

fn spec(id: &str, format: Format, name: &str) -> ModelSpec {
    let path = crate::support::models_dir().join(name);
    ModelSpec {
        id: id.into(),
        format,
        path,
        limits: ModelLimits::default(),
    }
}

/// Both models of the tests, not in memory yet.
fn models() -> LocalModels {
    let chat = spec("chat", Format::Gguf, "smollm2.gguf");
    LocalModels::new(vec![chat, spec("embed", Format::SentenceTransformer, "minilm")]).unwrap()
}

/// A request to the encoder.
fn embed(inputs: Vec<EmbedInput>) -> EmbedRequest {
    EmbedRequest {
        model: "embed".into(),
        inputs,
        purpose: Purpose::Unspecified,
        dimensions: None,
        extra: Vec::new(),
    }
}

fn ask(text: &str, sampling: Sampling) -> ChatRequest {
    ChatRequest {
        sampling,
        ..ChatRequest::question("chat", text)
    }
}

fn greedy(most: u32) -> Sampling {
    Sampling {
        temperature: Some(0.0),
        max_tokens: Some(most),
        choices: 1,
        ..Sampling::default()
    }
}

async fn answer(models: &LocalModels, request: ChatRequest) -> Result<Vec<Chunk>, Problem> {
    let mut completion = models.generate(request).await?;
    let mut chunks = Vec::new();
    while let Some(more) = completion.next().await? {
        chunks.extend(more);
    }
    Ok(chunks)
}

fn text(chunks: &[Chunk], choice: u32) -> String {
    let own = chunks.iter().filter(|chunk| chunk.choice == choice);
    own.filter_map(|chunk| {
        if let ChatEvent::Text(text) = &chunk.event {
            Some(text.as_str())
        } else {
            None
        }
    })
    .collect()
}

fn finish(chunks: &[Chunk]) -> Vec<FinishReason> {
    let reason = |chunk: &Chunk| {
        if let ChatEvent::Finish(reason) = &chunk.event {
            Some(reason.clone())
        } else {
            None
        }
    };
    chunks.iter().filter_map(reason).collect()
}

fn usage(chunks: &[Chunk]) -> Usage {
    match &chunks.last().unwrap().event {
        ChatEvent::Usage(usage) => usage.clone(),
        other => panic!("the last event is {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_side_by_side_answer_as_they_do_alone() {
    let models = Arc::new(models());
    let questions = [
        "Name a colour.",
        "What is the capital of France?",
        "Say hello in Spanish. 🌊",
        "Count to five.",
    ];
    let mut alone = Vec::new();
    for question in questions {
        let chunks = answer(&models, ask(question, greedy(20))).await.unwrap();
        let used = usage(&chunks);
        assert!(
            used.input_tokens > 20 && (1..=20).contains(&used.output_tokens),
            "{used:?}"
        );
        alone.push(text(&chunks, 0));
    }
    let together = questions.map(|question| {
        let models = Arc::clone(&models);
        tokio::spawn(async move { answer(&models, ask(question, greedy(20))).await.unwrap() })
    });
    for (handle, alone) in together.into_iter().zip(alone) {
        assert_eq!(text(&handle.await.unwrap(), 0), alone);
    }
}

#[tokio::test]
async fn choices_seeds_logprobs_and_stops() {
    let models = models();
    let sampled = Sampling {
        temperature: Some(0.9),
        seed: Some(5),
        choices: 3,
        ..greedy(16)
    };
    let once = answer(&models, ask("Write a poem about rain.", sampled.clone()))
        .await
        .unwrap();
    let twice = answer(&models, ask("Write a poem about rain.", sampled)).await.unwrap();
    assert_eq!(finish(&once).len(), 3);
    for choice in 0..3 {
        assert_eq!(
            text(&once, choice),
            text(&twice, choice),
            "the same seed, the same answer"
        );
    }
    assert!(text(&once, 0) != text(&once, 1) || text(&once, 1) != text(&once, 2));

    let told = answer(
        &models,
        ask(
            "What is 2 + 2?",
            Sampling {
                logprobs: Some(3),
                ..greedy(12)
            },
        ),
    )
    .await
    .unwrap();
    let logprobs = told.iter().filter_map(|c| {
        if let ChatEvent::Logprobs(list) = &c.event {
            Some(list)
        } else {
            None
        }
    });
    let logprobs: Vec<_> = logprobs.flatten().collect();
    assert_eq!(
        logprobs.iter().map(|own| own.token.as_str()).collect::<String>(),
        text(&told, 0)
    );
    assert!(
        logprobs
            .iter()
            .all(|own| own.top.len() == 3 && own.logprob == own.top[0].logprob && own.logprob <= 0.0)
    );

    let whole = answer(&models, ask("What is the capital of France?", greedy(30)))
        .await
        .unwrap();
    let stop: String = text(&whole, 0).chars().skip(7).take(6).collect();
    let stopped = Sampling {
        stop: vec![stop.clone()],
        ..greedy(30)
    };
    let cut = answer(&models, ask("What is the capital of France?", stopped))
        .await
        .unwrap();
    assert_eq!(Some(text(&cut, 0).as_str()), text(&whole, 0).split(&stop).next());
    assert_eq!(finish(&cut), [FinishReason::Stop]);
}

#[tokio::test]
async fn too_long_a_prompt_is_refused_before_any_work_and_a_full_context_ends_the_answer() {
    let models = LocalModels::new(vec![ModelSpec {
        limits: ModelLimits {
            context_tokens: Some(48),
            ..ModelLimits::default()
        },
        ..spec("chat", Format::Gguf, "smollm2.gguf")
    }])
    .unwrap();
    let long = "word ".repeat(60);
    let problem = answer(&models, ask(&long, greedy(1))).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::ContextExceeded);
    assert_eq!(problem.code.as_deref(), Some("context_length_exceeded"));
    let mut request = ask(
        "",
        Sampling {
            max_tokens: None,
            logit_bias: vec![(2, -100.0), (0, -100.0)],
            ..greedy(1)
        },
    );
    request.input = Input::Prompt("One two three".into());
    let chunks = answer(&models, request).await.unwrap();
    assert_eq!(finish(&chunks), [FinishReason::Length]);
    let used = usage(&chunks);
    assert_eq!(used.input_tokens + used.output_tokens, 48);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_an_answer_frees_its_place() {
    let limits = ModelLimits {
        active: 1,
        waiting: 1,
        ..ModelLimits::default()
    };
    let models = LocalModels::new(vec![ModelSpec {
        limits,
        ..spec("chat", Format::Gguf, "smollm2.gguf")
    }])
    .unwrap();
    let endless = || {
        ask(
            "Count.",
            Sampling {
                logit_bias: vec![(2, -100.0), (0, -100.0)],
                ..greedy(7_000)
            },
        )
    };
    let mut first = models.generate(endless()).await.unwrap();
    first.next().await.unwrap();
    let second = models.generate(endless()).await.unwrap();
    let full = models.generate(endless()).await.err().unwrap();
    assert_eq!(full.kind, ProblemKind::Overloaded);
    assert!(full.retry_after.is_some());
    let begun = Instant::now();
    drop((first, second));
    let chunks = loop {
        match answer(&models, ask("Name a colour.", greedy(1))).await {
            Ok(chunks) => break chunks,
            Err(problem) => assert_eq!(problem.kind, ProblemKind::Overloaded),
        }
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "cancelled answers must give their places back; to their end they would take minutes"
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    assert_eq!(usage(&chunks).output_tokens, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_goes_on_while_long_texts_are_embedded() {
    let models = Arc::new(models());
    let endless = Sampling {
        logit_bias: vec![(2, -100.0), (0, -100.0)],
        ..greedy(7_000)
    };
    let mut answer = models.generate(ask("Count.", endless)).await.unwrap();
    answer.next().await.unwrap();
    let long = "The sea is wide and the harbour is small. ".repeat(3_000);
    // The encoder is in memory before anything is measured.
    models.embed(embed(vec![EmbedInput::Text("sea".into())])).await.unwrap();
    let mut busy = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (models, request) = (Arc::clone(&models), embed(vec![EmbedInput::Text(long.clone())]));
        busy.spawn(async move { models.embed(request).await });
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    for _ in 0..20 {
        assert!(answer.next().await.unwrap().is_some());
    }
    assert!(
        busy.try_join_next().is_none(),
        "a request came to its end before twenty tokens did: the answer waited for it, or the encoder was idle"
    );
    busy.abort_all();
}
