//! The instrumentor suite: decisions, filters of answers as they stream, annotations afterwards. What an instrument looks
//! for is its own business: the kit asks that it finds the same, however an answer is cut. Name its words in
//! [`Settings::words`], so that there is something to find.

mod filter;
mod streams;

use encaje_core::chat::{ChatRequest, FinishReason, Input, Message, Role, Tool, Usage};
use encaje_core::ports::{Decision, Instrumentor};
use encaje_core::problem::{Problem, ProblemKind};
use encaje_core::telemetry::{Annotation, Span, SpanStatus};
use encaje_core::trace::{Asked, Exchange, Outcome, PluginKind};
use encaje_core::transcript::{ChoiceTranscript, Transcript};
use encaje_core::value::Value;

use crate::generate::{self, MARK, ODD_TEXTS};
use crate::limits;
use crate::provider::judge;
use crate::report::Report;
use crate::run::{Suite, Verdict, ensure, property, same, shown, skip, typed, unmarked, well_told};
use crate::settings::Settings;

/// What the host calls by name in this version.
const KNOWN: [&str; 5] = ["before", "filter", "after", "export-spans", "ingest"];

pub(super) struct Subject<'a> {
    port: &'a dyn Instrumentor,
    settings: &'a Settings,
}

impl Subject<'_> {
    fn offers(&self, hook: &str) -> Verdict {
        if self.port.offers().iter().any(|own| own == hook) {
            return Ok(());
        }
        skip(format!("it does not offer `{hook}`"))
    }
}

/// Judges an instrumentor.
pub async fn instrumentor(subject: &dyn Instrumentor, settings: &Settings) -> Report {
    let mut suite = Suite::new(subject.name(), PluginKind::Instrumentor, settings);
    let subject = Subject {
        port: subject,
        settings,
    };
    let s = &subject;
    let name = "its hooks are names that the host knows";
    suite.check(name, Box::pin(offers(s))).await;
    // The first calls of all are somebody else's: who keeps what came first has that.
    let name = "a decision tells nothing of another call";
    suite.check(name, Box::pin(discreet(s))).await;
    let name = "an annotation tells nothing of another call";
    suite.check(name, Box::pin(silent(s))).await;
    let name = "every request gets a decision that is well-formed";
    suite.check(name, Box::pin(decides(s))).await;
    let name = "however an answer is cut, the same text comes out";
    suite.check(name, Box::pin(filter::chunking(s))).await;
    let name = "a filtered answer keeps to the contract of streams, its usage and its ends included";
    suite.check(name, Box::pin(filter::contract(s))).await;
    let name = "choices are filtered each by itself";
    suite.check(name, Box::pin(filter::choices(s))).await;
    let name = "what is no text keeps its place behind the text before it";
    suite.check(name, Box::pin(filter::places(s))).await;
    let name = "an answer of nothing is filtered to nothing";
    suite.check(name, Box::pin(filter::nothing(s))).await;
    // Before any two are at once: an instance that was idle meanwhile would serve instead of a new one.
    let name = "an answer is filtered the same after others, and has nothing of them";
    suite.check(name, Box::pin(filter::forgotten(s))).await;
    let name = "two answers at once do not leak into each other";
    suite.check(name, Box::pin(filter::apart(s))).await;
    let name = "after a dropped answer the next one is filtered as if it were the first";
    suite.check(name, Box::pin(filter::dropped(s))).await;
    let name = "calls that ended well, failed or were cancelled are annotated in good form";
    suite.check(name, Box::pin(annotates(s))).await;
    let name = "spans are exported, or refused by class";
    suite.check(name, Box::pin(exports(s))).await;
    let name = "a payload of an unknown format is unsupported, a broken one is refused";
    suite.check(name, Box::pin(ingests(s))).await;
    suite.finish()
}

async fn offers(s: &Subject<'_>) -> Verdict {
    let own = s.port.offers();
    ensure(!own.is_empty() && own.len() <= limits::OFFERS, || {
        format!("1 to {} names were expected, {} came", limits::OFFERS, own.len())
    })?;
    for (at, name) in own.iter().enumerate() {
        ensure(KNOWN.contains(&name.as_str()), || {
            format!("one of {KNOWN:?} was expected, {} came", shown(name))
        })?;
        let first = own.iter().position(|other| other == name);
        same(&format!("the place of `{name}` in the list"), &Some(at), &first)?;
    }
    Ok(())
}

pub(super) fn question(text: &str, choices: u32) -> ChatRequest {
    let mut request = ChatRequest::question("encaje-testkit", text);
    request.sampling.choices = choices;
    request
}

async fn decided(s: &Subject<'_>, request: &ChatRequest) -> Verdict {
    let mut instrument = s.port.attend(&s.settings.call()).await?;
    match instrument.before(request).await {
        Ok(Decision::Pass) => Ok(()),
        Ok(Decision::Replace(another)) => ensure(another.sampling.choices >= 1 && !another.model.is_empty(), || {
            format!(
                "a request with a model and a choice was expected, {} came",
                shown(&another)
            )
        }),
        Ok(Decision::Reject(problem)) => well_told(&problem),
        Ok(Decision::Answer(chunks)) => judge(chunks, request.sampling.choices).map(drop),
        Err(problem) => {
            let kinds = [
                ProblemKind::InvalidRequest,
                ProblemKind::Unsupported,
                ProblemKind::TooLarge,
                ProblemKind::ContentBlocked,
            ];
            typed(&problem, &kinds)
        }
    }
}

async fn decides(s: &Subject<'_>) -> Verdict {
    s.offers("before")?;
    let words = s.settings.words.iter().map(String::as_str);
    for text in ODD_TEXTS.into_iter().chain(["", "Hello."]).chain(words) {
        decided(s, &question(text, 2)).await?;
    }
    let mut tools = question("What is the weather?", 1);
    tools.tools = vec![Tool {
        name: "weather".to_owned(),
        description: None,
        parameters: "{}".to_owned(),
        strict: false,
        extra: Vec::new(),
    }];
    let inputs = [
        Input::Messages(Vec::new()),
        Input::Prompt("Once upon a".to_owned()),
        Input::Tokens(vec![1, 2, 3]),
        Input::Messages(vec![Message::text(Role::Other("critic".to_owned()), "x")]),
        Input::Messages(vec![Message::text(Role::User, "word ".repeat(limits::HUGE_TEXT / 5))]),
    ];
    decided(s, &tools).await?;
    for input in inputs {
        decided(s, &ChatRequest { input, ..tools.clone() }).await?;
    }
    property(s.settings, generate::text(), async |text| {
        decided(s, &question(&text, 1)).await
    })
    .await
}

fn exchange(text: &str, outcome: Outcome) -> Exchange {
    let mut transcript = Transcript::default();
    let choice = ChoiceTranscript {
        text: text.to_owned(),
        finish: (outcome == Outcome::Completed).then_some(FinishReason::Stop),
        ..ChoiceTranscript::default()
    };
    if !text.is_empty() {
        transcript.choices.insert(0, choice);
    }
    Exchange {
        asked: Asked::Chat(question(text, 1)),
        plugin: Some("provider".to_owned()),
        plugin_model: None,
        degraded: false,
        transcript,
        usage: (outcome == Outcome::Completed).then(|| Usage {
            input_tokens: 3,
            output_tokens: 4,
            ..Usage::default()
        }),
        annotations: Vec::new(),
        outcome,
        start_us: 1_700_000_000_000_000,
        end_us: 1_700_000_000_500_000,
        first_chunk_us: (!text.is_empty()).then_some(1_000),
    }
}

fn outcomes() -> [Outcome; 3] {
    let failed = Problem::new(ProblemKind::Unavailable, "The upstream does not answer.");
    [Outcome::Completed, Outcome::Failed(failed), Outcome::Cancelled]
}

fn well_formed(annotation: &Annotation) -> Verdict {
    for (at, (name, value)) in annotation.attributes.iter().enumerate() {
        let first = annotation.attributes.iter().position(|(other, _)| other == name);
        let finite = !matches!(value, Value::Real(number) if !number.is_finite());
        ensure(!name.is_empty() && first == Some(at) && finite, || {
            format!(
                "attributes with names of their own and finite values were expected, {} came",
                shown(annotation)
            )
        })?;
    }
    for score in &annotation.scores {
        let finite = score.value.is_none_or(f64::is_finite);
        let says = score.value.is_some() || score.label.is_some();
        ensure(!score.name.is_empty() && finite && says, || {
            format!(
                "a score with a name and a finite value or a label was expected, {} came",
                shown(score)
            )
        })?;
    }
    ensure(annotation.tags.iter().all(|tag| !tag.is_empty()), || {
        format!("tags that say something were expected, {} came", shown(annotation))
    })
}

/// The whole part that an instrument has in a call, and what it adds at the end.
async fn annotation(s: &Subject<'_>, text: &str, outcome: Outcome) -> Verdict<Annotation> {
    let mut instrument = s.port.attend(&s.settings.call()).await?;
    if s.offers("before").is_ok() && instrument.before(&question(text, 1)).await.is_err() {
        // Refused requests are annotated too.
        instrument = s.port.attend(&s.settings.call()).await?;
    }
    let annotation = instrument.after(&exchange(text, outcome)).await?;
    well_formed(&annotation)?;
    Ok(annotation)
}

async fn annotates(s: &Subject<'_>) -> Verdict {
    s.offers("after")?;
    let words = s.settings.words.iter().map(String::as_str);
    for text in ODD_TEXTS.into_iter().chain(["", "Hello."]).chain(words) {
        for outcome in outcomes() {
            annotation(s, text, outcome).await?;
        }
    }
    // An instance that was taken for this alone: the request came from elsewhere.
    let mut alone = s.port.attend(&s.settings.call()).await?;
    well_formed(&alone.after(&exchange("Hello.", Outcome::Completed)).await?)
}

/// What others ask and are answered, with each word that it reacts to and with none.
fn marked(s: &Subject<'_>) -> Vec<String> {
    let words = s.settings.words.iter().map(|word| format!("{word} {MARK}"));
    words.chain([MARK.to_owned()]).collect()
}

async fn silent(s: &Subject<'_>) -> Verdict {
    s.offers("after")?;
    for text in marked(s) {
        annotation(s, &text, Outcome::Completed).await?;
        unmarked("an annotation", &annotation(s, "Hello.", Outcome::Completed).await?)?;
    }
    Ok(())
}

async fn discreet(s: &Subject<'_>) -> Verdict {
    s.offers("before")?;
    let words = s.settings.words.iter().map(String::as_str);
    let asked: Vec<&str> = words.chain(["Hello."]).collect();
    for text in marked(s) {
        // What it says of this one is its own business, and judged elsewhere.
        let mut theirs = s.port.attend(&s.settings.other_call()).await?;
        let _ = theirs.before(&question(&text, 1)).await;
        drop(theirs);
        for text in &asked {
            let mut instrument = s.port.attend(&s.settings.call()).await?;
            unmarked("a decision", &instrument.before(&question(text, 1)).await)?;
        }
    }
    Ok(())
}

async fn exports(s: &Subject<'_>) -> Verdict {
    s.offers("export-spans")?;
    let span = Span {
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
        span_id: "00f067aa0ba902b7".to_owned(),
        parent_span_id: None,
        name: "chat encaje-testkit".to_owned(),
        kind: "server".to_owned(),
        start_us: 1_700_000_000_000_000,
        end_us: 1_700_000_000_500_000,
        status: SpanStatus::Ok,
        status_message: None,
        attributes: vec![("gen_ai.request.model".to_owned(), "encaje-testkit".into())],
        events: Vec::new(),
        links: Vec::new(),
        resource_attributes: Vec::new(),
        scope: "encaje-testkit".to_owned(),
    };
    for batch in [Vec::new(), vec![span.clone()], vec![span; 50]] {
        if let Err(problem) = s.port.export_spans(&s.settings.call(), &batch).await {
            let kinds = [
                ProblemKind::Unavailable,
                ProblemKind::Denied,
                ProblemKind::Misconfigured,
            ];
            typed(&problem, &kinds)?;
            return skip(format!("its other end is not there: {}", problem.message));
        }
    }
    Ok(())
}

async fn ingests(s: &Subject<'_>) -> Verdict {
    s.offers("ingest")?;
    let call = s.settings.call();
    let outcome = s.port.ingest(&call, "x-encaje-testkit", b"{}").await;
    crate::run::refused("an unknown format", outcome, &[ProblemKind::Unsupported])?;
    for format in ["openai", "langchain", "huggingface", "openinference", "otel-genai"] {
        for payload in [&b"\xff\xfe not of it"[..], b"", b"{\"a\":"] {
            let outcome = s.port.ingest(&call, format, payload).await;
            let kinds = [ProblemKind::Unsupported, ProblemKind::InvalidRequest];
            crate::run::refused(&format!("a broken payload of `{format}`"), outcome, &kinds)?;
        }
    }
    Ok(())
}
