//! Instruments in the path of a chat: before anybody is asked, over the answer as it streams, and after its end.
//!
//! They run in the registry's order. One that fails ends the call, or is left out of the rest of it, as the operator
//! chose.

use crate::call::Call;
use crate::chat::{ChatEvent, ChatRequest, Chunk};
use crate::generation::{Generation, Instrumented};
use crate::limits;
use crate::ports::{Decision, Instrument};
use crate::problem::{Problem, ProblemKind};
use crate::supervise::Pass;
use crate::telemetry::Annotation;
use crate::trace::Exchange;

/// The instruments of one call.
pub(crate) struct Instruments(Vec<Running>);

/// What the instruments made of a request.
pub(crate) enum Verdict {
    /// Ask a provider.
    Ask,
    /// This instrument answered.
    Answered(String, Vec<Chunk>),
}

struct Running {
    name: String,
    required: bool,
    hooks: Vec<String>,
    /// Gone where it failed and the call goes on without it.
    instrument: Option<Box<dyn Instrument>>,
    pass: Option<Pass>,
    filtering: bool,
    /// Bytes of text that went into the filter, and those that came out of it.
    flow: (usize, usize),
}

impl Running {
    fn has(&self, hook: &str) -> bool {
        self.instrument.is_some() && self.hooks.iter().any(|own| own == hook)
    }

    /// Goes on without it, or not at all.
    fn failed(&mut self, problem: Problem) -> Result<(), Problem> {
        self.instrument = None;
        if let Some(pass) = self.pass.take() {
            pass.ended(&problem);
        }
        if self.required {
            return Err(problem);
        }
        tracing::warn!(plugin = self.name, %problem, "an instrument failed; the call goes on without it");
        Ok(())
    }

    /// One hook's outcome: `None` where it failed and is left out.
    fn outcome<T>(&mut self, outcome: Result<T, Problem>) -> Result<Option<T>, Problem> {
        match outcome {
            Ok(value) => {
                self.works();
                Ok(Some(value))
            }
            Err(problem) => self.failed(problem).map(|()| None),
        }
    }

    /// It has done something well. A half-open breaker waits for no more than that: the answer may take minutes.
    fn works(&mut self) {
        if let Some(pass) = &mut self.pass {
            pass.begun();
        }
    }
}

impl Instruments {
    /// Takes an instance of each for this call.
    pub(crate) async fn begin(generation: &Generation, call: &Call) -> Result<Self, Problem> {
        let mut all = Vec::with_capacity(generation.instruments.len());
        for one in &generation.instruments {
            all.push(begin(one, call).await?);
        }
        Ok(Self(all))
    }

    /// Before anybody is asked; the request may be another one afterwards.
    pub(crate) async fn before(&mut self, request: &mut ChatRequest) -> Result<Verdict, Problem> {
        for index in 0..self.0.len() {
            let Some(one) = self.0.get_mut(index).filter(|one| one.has("before")) else {
                continue;
            };
            let Some(instrument) = &mut one.instrument else {
                continue;
            };
            let decided = instrument.before(request).await;
            match one.outcome(decided)? {
                None | Some(Decision::Pass) => {}
                Some(Decision::Replace(another)) => *request = another,
                Some(Decision::Reject(problem)) => return Err(problem),
                Some(Decision::Answer(chunks)) => {
                    let name = one.name.clone();
                    // Those behind it were not asked whether it may be said.
                    self.0.truncate(index);
                    self.open_filters(request).await?;
                    return Ok(Verdict::Answered(name, chunks));
                }
            }
        }
        self.open_filters(request).await?;
        Ok(Verdict::Ask)
    }

    async fn open_filters(&mut self, request: &ChatRequest) -> Result<(), Problem> {
        for one in self.0.iter_mut().filter(|one| one.has("filter")) {
            let Some(instrument) = &mut one.instrument else {
                continue;
            };
            let opened = instrument.open_filter(request).await;
            one.filtering = one.outcome(opened)?.is_some();
        }
        Ok(())
    }

    /// What of these chunks is to be sent now.
    pub(crate) async fn filter(&mut self, mut chunks: Vec<Chunk>) -> Result<Vec<Chunk>, Problem> {
        for one in self.0.iter_mut().filter(|one| one.filtering) {
            chunks = push(one, chunks).await?;
        }
        Ok(chunks)
    }

    /// The answer is over: what was held back, each instrument's through those behind it.
    pub(crate) async fn finish(&mut self) -> Result<Vec<Chunk>, Problem> {
        let mut chunks = Vec::new();
        for one in self.0.iter_mut().filter(|one| one.filtering) {
            if !chunks.is_empty() {
                chunks = push(one, chunks).await?;
            }
            let Some(instrument) = &mut one.instrument else {
                continue;
            };
            let held = instrument.finish().await;
            one.required |= one.flow.0 != one.flow.1;
            chunks.extend(one.outcome(held)?.unwrap_or_default());
            one.filtering = false;
        }
        Ok(chunks)
    }

    /// After the call has ended. What fails here fails no call: the answer has been given.
    pub(crate) async fn after(self, exchange: &Exchange) -> Vec<(String, Annotation)> {
        let mut annotations = Vec::new();
        for mut one in self.0 {
            if let (true, Some(instrument)) = (one.has("after"), &mut one.instrument) {
                let added = tokio::time::timeout(limits::AFTER, instrument.after(exchange)).await;
                match added {
                    Ok(Ok(annotation)) if annotation.is_empty() => {}
                    Ok(Ok(annotation)) => annotations.push((one.name.clone(), annotation)),
                    Ok(Err(problem)) => {
                        tracing::warn!(plugin = one.name, %problem, "an instrument failed after a call");
                        if let Some(pass) = one.pass.take() {
                            pass.ended(&problem);
                        }
                    }
                    Err(_) => {
                        tracing::warn!(plugin = one.name, "an instrument took too long after a call");
                        if let Some(pass) = one.pass.take() {
                            pass.ended(&Problem::new(ProblemKind::Timeout, "it took too long after a call"));
                        }
                    }
                }
            }
            if let (Some(pass), true) = (one.pass.take(), one.instrument.is_some()) {
                pass.succeeded();
            }
        }
        annotations
    }
}

async fn begin(one: &Instrumented, call: &Call) -> Result<Running, Problem> {
    let mut running = Running {
        name: one.port.name().to_owned(),
        required: one.required,
        hooks: one.port.offers().to_vec(),
        instrument: None,
        pass: None,
        filtering: false,
        flow: (0, 0),
    };
    let attended = match one.supervisor.admit(&running.name) {
        Ok(pass) => {
            running.pass = Some(pass);
            one.port.attend(call).await
        }
        Err(problem) => Err(problem),
    };
    match attended {
        Ok(instrument) => running.instrument = Some(instrument),
        Err(problem) => running.failed(problem)?,
    }
    if !running.has("before") && !running.has("filter") {
        // Nothing is asked of it until the answer is over.
        running.works();
    }
    Ok(running)
}

async fn push(one: &mut Running, chunks: Vec<Chunk>) -> Result<Vec<Chunk>, Problem> {
    let Some(instrument) = &mut one.instrument else {
        return Ok(chunks);
    };
    let kept = (!one.required).then(|| chunks.clone());
    let whole = one.flow.0 == one.flow.1;
    one.flow.0 += text_bytes(&chunks);
    let pushed = instrument.push(chunks).await;
    if let (Err(problem), false) = (&pushed, whole) {
        // What it held back, or had changed, is lost with it: there is no way to go on without it.
        one.required = true;
        tracing::warn!(plugin = one.name, %problem, "an instrument failed in the middle of an answer that it had changed");
    }
    let passed = one.outcome(pushed)?;
    let sent = passed.or(kept).unwrap_or_default();
    one.flow.1 += text_bytes(&sent);
    Ok(sent)
}

fn text_bytes(chunks: &[Chunk]) -> usize {
    let bytes = |chunk: &Chunk| match &chunk.event {
        ChatEvent::Text(text) | ChatEvent::Reasoning(text) | ChatEvent::Refusal(text) => text.len(),
        ChatEvent::ToolCall(delta) => delta.arguments.len(),
        _ => 0,
    };
    chunks.iter().map(bytes).sum()
}
