//! A provider that repeats what it is asked, and its wrong sisters.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use encaje_core::call::Call;
use encaje_core::chat::{
    ChatEvent, ChatRequest, Chunk, FinishReason, Input, ResponseFormat, TokenLogprob, ToolCallDelta, Usage,
};
use encaje_core::embeddings::{EmbedInput, EmbedRequest, EmbedResponse, Ranked, RerankRequest};
use encaje_core::ports::{Completion, ModelInfo, Provider};
use encaje_core::{Problem, ProblemKind};

use super::{assert_caught, assert_passes, settings};
use crate::{Report, Settings, provider};

const WORDS: [&str; 12] = [
    "one ", "two ", "three ", "four ", "five ", "six ", "seven ", "eight ", "nine ", "ten ", "ñ ", "🌊 ",
];

struct Parrot {
    wrong: &'static str,
    offers: Vec<String>,
    dropped: Arc<AtomicU32>,
    /// What was asked last.
    heard: Mutex<String>,
}

/// An answer; `left` tells the parrot when it was given up.
struct Saying {
    wrong: &'static str,
    events: VecDeque<Chunk>,
    dropped: Arc<AtomicU32>,
}

impl Drop for Saying {
    fn drop(&mut self) {
        if !self.events.is_empty() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[async_trait]
impl Completion for Saying {
    async fn next(&mut self) -> Result<Option<Vec<Chunk>>, Problem> {
        if self.wrong == "hangs" && self.events.len() <= 2 {
            std::future::pending::<()>().await;
        }
        let batch: Vec<Chunk> = (0..3).filter_map(|_| self.events.pop_front()).collect();
        Ok((!batch.is_empty()).then_some(batch))
    }
}

fn unsupported(param: &str) -> Problem {
    Problem::new(ProblemKind::Unsupported, format!("`{param}` is not supported.")).with_param(param)
}

/// The words of the answer, and why it ends.
fn said(request: &ChatRequest, wrong: &str) -> (Vec<String>, FinishReason) {
    let mut words: Vec<String> = WORDS.map(str::to_owned).to_vec();
    if request.response_format == ResponseFormat::Json {
        words = vec![
            "{\"town\": ".to_owned(),
            if wrong == "json" { "Bergen" } else { "\"Bergen\"}" }.to_owned(),
        ];
    }
    if let Some(stop) = request.sampling.stop.first().filter(|_| wrong != "unstoppable") {
        let whole = words.concat();
        words = vec![whole.split(stop.as_str()).next().unwrap_or_default().to_owned()];
    }
    let most = request.sampling.max_tokens.map_or(usize::MAX, |most| most as usize);
    if words.len() > most && wrong != "long" {
        words.truncate(most);
        return (words, FinishReason::Length);
    }
    (words, FinishReason::Stop)
}

fn tool_calls(wrong: &str) -> Vec<ChatEvent> {
    let delta = |first: bool, arguments: &str| {
        ChatEvent::ToolCall(ToolCallDelta {
            index: u32::from(wrong == "gap"),
            id: first.then(|| "call_0".to_owned()),
            name: (first || wrong == "renames").then(|| "weather".to_owned()),
            arguments: arguments.to_owned(),
        })
    };
    let end = if wrong == "half arguments" { "" } else { "}" };
    vec![delta(true, "{\"town\":"), delta(false, "\"Bergen\""), delta(false, end)]
}

fn choice(choice: u32, request: &ChatRequest, wrong: &str) -> (Vec<Chunk>, usize) {
    let (words, mut reason) = said(request, wrong);
    let count = words.len();
    let mut events = Vec::new();
    if request.tools.is_empty() {
        for word in words {
            let logprob = TokenLogprob {
                token: word.clone(),
                bytes: word.clone().into_bytes(),
                logprob: if wrong == "probability" { 0.7 } else { -0.7 },
                top: Vec::new(),
            };
            events.push(ChatEvent::Text(word));
            if request.sampling.logprobs.is_some() {
                events.push(ChatEvent::Logprobs(vec![logprob]));
            }
        }
    } else {
        events = tool_calls(wrong);
        reason = FinishReason::ToolCalls;
    }
    if wrong != "unfinished" {
        events.push(ChatEvent::Finish(reason));
    }
    if wrong == "goes on" {
        events.push(ChatEvent::Text("and".to_owned()));
    }
    (events.into_iter().map(|event| Chunk { choice, event }).collect(), count)
}

impl Parrot {
    fn refuse(&self, request: &ChatRequest) -> Result<(), Problem> {
        if request.model != "parrot" {
            let kind = if self.wrong == "model" {
                ProblemKind::Internal
            } else {
                ProblemKind::NotFound
            };
            return Err(Problem::new(kind, "There is no such model."));
        }
        if let Some((name, _)) = request.extra.first() {
            assert!(self.wrong != "crashes", "it crashes as told");
            let mut problem = unsupported(name);
            problem.param = problem.param.filter(|_| self.wrong != "nameless");
            if self.wrong != "deaf" {
                return Err(problem);
            }
        }
        self.refuse_wishes(request)?;
        if request.input == Input::Messages(Vec::new()) {
            let message = if self.wrong == "silent" {
                ""
            } else {
                "There is nothing to answer."
            };
            return Err(Problem::invalid("messages", message));
        }
        if self.wrong == "stuck" && self.dropped.load(Ordering::Relaxed) > 0 {
            return Err(Problem::new(
                ProblemKind::Overloaded,
                "The last answer is still under way.",
            ));
        }
        Ok(())
    }
}

impl Parrot {
    /// What a provider that can do little refuses: under its name, or under another one.
    fn refuse_wishes(&self, request: &ChatRequest) -> Result<(), Problem> {
        let wishes = [
            ("n", request.sampling.choices > 1),
            ("stop", !request.sampling.stop.is_empty()),
            ("logprobs", request.sampling.logprobs.is_some()),
            ("tools", !request.tools.is_empty()),
            ("response_format", request.response_format != ResponseFormat::Text),
        ];
        let wish = wishes.iter().find(|(_, asked)| *asked).map(|(name, _)| *name);
        match (self.wrong, wish) {
            ("plain", Some(name)) => Err(unsupported(name)),
            ("other name", Some(_)) => Err(unsupported("wrong_name_entirely")),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Provider for Parrot {
    fn name(&self) -> &str {
        "parrot"
    }

    fn offers(&self) -> &[String] {
        &self.offers
    }

    async fn models(&self, _: &Call) -> Result<Vec<ModelInfo>, Problem> {
        let model = ModelInfo {
            id: "parrot".to_owned(),
            owned_by: "us".to_owned(),
            created: None,
            context_tokens: Some(1_000),
            max_output_tokens: None,
            capabilities: vec!["chat".to_owned()],
        };
        Ok(vec![model; if self.wrong == "same ids" { 2 } else { 1 }])
    }

    async fn complete(&self, _: &Call, request: ChatRequest) -> Result<Box<dyn Completion>, Problem> {
        self.refuse(&request)?;
        let choices = if self.wrong == "one choice" {
            1
        } else {
            request.sampling.choices
        };
        let mut usage = Usage {
            input_tokens: 5,
            cached_input_tokens: if self.wrong == "sums" { 9 } else { 0 },
            ..Usage::default()
        };
        let mut events = VecDeque::new();
        for number in 0..choices {
            let (chunks, tokens) = choice(number, &request, self.wrong);
            usage.output_tokens += tokens as u64;
            events.extend(chunks);
        }
        let before = std::mem::replace(&mut *self.heard.lock().unwrap(), format!("{:?}", request.input));
        if self.wrong == "gossips" {
            let event = ChatEvent::Text(before);
            events.push_front(Chunk { choice: 0, event });
        }
        let usage = Chunk {
            choice: 0,
            event: ChatEvent::Usage(usage),
        };
        match self.wrong {
            "early usage" => events.push_front(usage),
            "uncounted answer" => {}
            _ => events.push_back(usage),
        }
        Ok(Box::new(Saying {
            wrong: self.wrong,
            events,
            dropped: Arc::clone(&self.dropped),
        }))
    }

    async fn embed(&self, _: &Call, request: EmbedRequest) -> Result<EmbedResponse, Problem> {
        if request.inputs.is_empty() && self.wrong != "embeds nothing" {
            return Err(Problem::invalid("input", "At least one input is needed."));
        }
        let asked = request.dimensions.filter(|_| self.wrong != "dimensions");
        Ok(self.vectors(&request, asked.unwrap_or(4)))
    }

    async fn rerank(&self, _: &Call, request: RerankRequest) -> Result<Vec<Ranked>, Problem> {
        let top = request.top.filter(|_| self.wrong != "top").unwrap_or(u32::MAX) as usize;
        let place = |index: usize| Ranked {
            index: if self.wrong == "repeats" { 0 } else { index as u32 },
            score: if self.wrong == "worst first" {
                index as f32
            } else {
                -(index as f32)
            },
        };
        Ok((0..request.documents.len()).take(top).map(place).collect())
    }

    async fn count_tokens(&self, _: &Call, request: ChatRequest) -> Result<u32, Problem> {
        if self.wrong == "uncounted" {
            return Ok(0);
        }
        Ok(format!("{:?}", request.input).len() as u32)
    }
}

impl Parrot {
    fn vectors(&self, request: &EmbedRequest, dimensions: u32) -> EmbedResponse {
        let mut rows: Vec<Vec<f32>> = Vec::new();
        for input in &request.inputs {
            let EmbedInput::Text(text) = input else { continue };
            let sum = text
                .bytes()
                .fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
            let number = |at: u32| {
                if self.wrong == "nan" {
                    f32::NAN
                } else {
                    (sum.rotate_left(at) % 997) as f32
                }
            };
            rows.push((0..dimensions).map(number).collect());
        }
        if self.wrong == "sorted" {
            rows.sort_by(|left, right| left.partial_cmp(right).unwrap());
        }
        EmbedResponse {
            dimensions,
            covered: vec![1; rows.len()],
            vectors: rows.concat(),
            usage: Usage::default(),
            extra: Vec::new(),
        }
    }
}

fn parrot(wrong: &'static str) -> Parrot {
    let mut offers = vec!["chat", "embed", "rerank", "count-tokens"];
    if wrong == "unknown offer" {
        offers.push("chatter");
    }
    Parrot {
        wrong,
        offers: offers.into_iter().map(str::to_owned).collect(),
        dropped: Arc::default(),
        heard: Mutex::default(),
    }
}

#[tokio::test]
async fn a_right_provider_passes() {
    assert_passes(&provider(&parrot(""), &settings()).await);
}

#[tokio::test]
async fn what_is_not_offered_is_skipped() {
    let mut mute = parrot("");
    mute.offers = vec!["embed".to_owned()];
    let report = provider(&mute, &settings()).await;
    assert!(report.passed(), "{report}");
    assert!(report.to_string().contains("it does not offer `chat`"), "{report}");
}

#[tokio::test]
async fn a_hang_is_a_failure_and_the_kit_goes_on() {
    let short = Settings {
        check_time: std::time::Duration::from_millis(200),
        ..settings()
    };
    let report = provider(&parrot("hangs"), &short).await;
    assert_caught(&report, "each choice ends once, after all else that it says");
    assert!(report.to_string().contains("none came"), "{report}");
    assert!(
        report.to_string().contains("ok a ranking names each document once"),
        "{report}"
    );
}

#[tokio::test]
async fn a_provider_may_refuse_what_it_cannot_do_by_its_name() {
    let report = provider(&parrot("plain"), &settings()).await;
    assert!(report.passed(), "{report}");
    assert!(
        report.to_string().contains("it refused: `stop` is not supported."),
        "{report}"
    );
}

#[tokio::test]
async fn whether_a_forwarded_parameter_arrived_is_not_judged() {
    let forwards = Settings {
        forwards: true,
        ..settings()
    };
    let report = provider(&parrot("deaf"), &forwards).await;
    assert!(report.passed(), "{report}");
    assert!(report.to_string().contains("whether it did is not judged"), "{report}");
    assert!(provider(&parrot(""), &forwards).await.passed());
}

async fn caught(wrong: &'static str, check: &str) -> Report {
    let report = provider(&parrot(wrong), &settings()).await;
    assert_caught(&report, check);
    report
}

#[tokio::test]
async fn each_wrong_answer_is_caught_by_its_check() {
    let ends = "each choice ends once, after all else that it says";
    let calls = "pieces of a tool call fit together";
    for (wrong, check) in [
        ("unfinished", ends),
        ("goes on", ends),
        ("early usage", "usage comes once, after the last text, and adds up"),
        ("uncounted answer", "usage comes once, after the last text, and adds up"),
        ("sums", "usage comes once, after the last text, and adds up"),
        ("one choice", "several choices are given, or refused by name"),
        ("long", "an answer has at most the tokens asked for"),
        ("unstoppable", "a stop string is not in the answer"),
        ("gap", calls),
        ("renames", calls),
        ("half arguments", calls),
        ("json", "an answer asked for as JSON is JSON, or refused by name"),
        ("probability", "probabilities follow their text, or are refused by name"),
        ("stuck", "after a dropped answer the next one comes"),
        ("gossips", "an answer has nothing of what others asked before"),
    ] {
        caught(wrong, check).await;
    }
}

#[tokio::test]
async fn each_wrong_refusal_and_list_is_caught_by_its_check() {
    let extra = "a parameter that nobody knows is refused by name, or left to the upstream";
    for (wrong, check) in [
        ("unknown offer", "what it offers are names that the host knows"),
        ("same ids", "listed models have ids, each its own"),
        ("model", "an unknown model is refused by class"),
        ("nameless", extra),
        ("deaf", extra),
        ("other name", "several choices are given, or refused by name"),
        ("other name", "a stop string is not in the answer"),
        ("other name", "pieces of a tool call fit together"),
        ("other name", "an answer asked for as JSON is JSON, or refused by name"),
        ("other name", "probabilities follow their text, or are refused by name"),
        ("crashes", extra),
        ("silent", "an empty conversation is answered or refused in words"),
        ("uncounted", "tokens are counted, and more text has more"),
    ] {
        caught(wrong, check).await;
    }
}

#[tokio::test]
async fn each_wrong_vector_and_ranking_is_caught_by_its_check() {
    for (wrong, check) in [
        ("nan", "each input has one vector of finite numbers"),
        ("sorted", "vectors come in the order of the inputs"),
        ("embeds nothing", "no input at all is refused"),
        ("dimensions", "a length of vectors is kept, or refused by name"),
        ("repeats", "a ranking names each document once, best first"),
        ("worst first", "a ranking names each document once, best first"),
        ("top", "a ranking has at most as many places as asked for"),
    ] {
        caught(wrong, check).await;
    }
}
