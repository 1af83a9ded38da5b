//! The models of this machine behind the `Inference` port.
//!
//! It finds the model, checks the request, makes tokens of it and hands it to the model's thread; the answer comes back
//! through a channel that the caller holds, and whose end stops the work.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use encaje_core::chat::{ChatRequest, Chunk, Input, Usage};
use encaje_core::embeddings::{EmbedInput, EmbedRequest, EmbedResponse, Ranked, RerankRequest};
use encaje_core::ports::{Completion, Inference, LocalModel};
use encaje_core::{Problem, ProblemKind};
use tokio::sync::mpsc;

use crate::chat::{Plan, turns};
use crate::embed::{Text, passes};
use crate::error::ModelError;
use crate::limits::{EMBED_BYTES, EMBED_INPUTS, OUTPUT_BUFFER};
use crate::loaded::{ChatModel, EmbedModel, Loaded};
use crate::pool::Pool;
use crate::scheduler::{Job, Message};
use crate::slot::Slot;
use crate::spec::{Format, ModelSpec};

/// The models of this machine that one registry declares.
pub struct LocalModels {
    slots: BTreeMap<String, Arc<Slot>>,
    pool: Arc<Pool>,
}

impl LocalModels {
    /// Declares models; none is read before it is asked for. One core is left to others.
    ///
    /// # Errors
    /// `Internal` where the system gives no threads.
    pub fn new(specs: Vec<ModelSpec>) -> Result<Self, Problem> {
        Self::with_threads(specs, None)
    }

    /// As [`LocalModels::new`], with a number of threads to compute on.
    ///
    /// # Errors
    /// `Internal` where the system gives no threads.
    pub fn with_threads(specs: Vec<ModelSpec>, threads: Option<usize>) -> Result<Self, Problem> {
        let pool = Arc::new(Pool::new(threads).map_err(Problem::internal)?);
        let none = Self {
            slots: BTreeMap::new(),
            pool,
        };
        Ok(none.with(specs))
    }

    /// The models of another registry on the same threads. One that is declared as here is shared with it, in memory or
    /// not; this one goes on as it is, and a model that only it has leaves memory with it.
    #[must_use]
    pub fn with(&self, specs: Vec<ModelSpec>) -> Self {
        let slot = |spec: ModelSpec| match self.slots.get(&spec.id) {
            Some(slot) if slot.spec == spec => Arc::clone(slot),
            _ => Arc::new(Slot::new(spec, Arc::clone(&self.pool))),
        };
        Self {
            slots: specs.into_iter().map(|spec| (spec.id.clone(), slot(spec))).collect(),
            pool: Arc::clone(&self.pool),
        }
    }

    fn slot(&self, id: &str) -> Result<Arc<Slot>, Problem> {
        self.slots.get(id).cloned().ok_or_else(|| {
            Problem::new(ProblemKind::NotFound, format!("There is no local model `{id}`."))
                .with_code("model_not_found")
                .with_param("model")
        })
    }
}

fn wrong_kind(id: &str, what: &'static str) -> Problem {
    ModelError::Cannot(what).to_problem(id)
}

/// Runs something that blocks; what it borrows must be shared.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(Problem::internal)?
}

/// The tokens of a request's input, however many; at least one.
fn prompt(chat: &ChatModel, id: &str, input: &Input) -> Result<Vec<u32>, Problem> {
    let tokens = match input {
        Input::Tokens(tokens) => known(chat, tokens)?,
        Input::Prompt(text) => encode(chat, id, input, text)?,
        Input::Messages(messages) => encode(chat, id, input, &conversation(chat, id, messages)?)?,
    };
    if tokens.is_empty() {
        Err(Problem::invalid("prompt", "The prompt is empty."))
    } else {
        Ok(tokens)
    }
}

fn known(chat: &ChatModel, tokens: &[u32]) -> Result<Vec<u32>, Problem> {
    let size = chat.vocabulary.size();
    match tokens.iter().find(|token| **token as usize >= size) {
        None => Ok(tokens.to_vec()),
        Some(token) => {
            let text = format!("There is no token {token}: the model's vocabulary has {size}.");
            Err(Problem::invalid("prompt", text))
        }
    }
}

fn conversation(chat: &ChatModel, id: &str, messages: &[encaje_core::chat::Message]) -> Result<String, Problem> {
    if messages.is_empty() {
        return Err(Problem::invalid("messages", "There is no message to answer."));
    }
    let Some(template) = &chat.template else {
        let text = format!("The model `{id}` has no chat template; give it a prompt instead.");
        return Err(Problem::new(ProblemKind::Unsupported, text).with_param("messages"));
    };
    template.render(&turns(messages)?)
}

fn encode(chat: &ChatModel, id: &str, input: &Input, text: &str) -> Result<Vec<u32>, Problem> {
    // Not worth the tokenizer's time where it cannot fit whatever its tokens are.
    let least = text.len() / chat.vocabulary.longest().max(1);
    if least > chat.model.facts().context {
        return Err(exceeded(chat, id, input, &format!("at least {least}")));
    }
    chat.vocabulary.encode(text).map_err(|error| error.to_problem(id))
}

fn exceeded(chat: &ChatModel, id: &str, input: &Input, count: &str) -> Problem {
    let context = chat.model.facts().context;
    let text = format!(
        "The model `{id}` has a context of {context} tokens; the input has {count}, and the answer needs at least one."
    );
    let param = if matches!(input, Input::Messages(_)) {
        "messages"
    } else {
        "prompt"
    };
    Problem::new(ProblemKind::ContextExceeded, text)
        .with_code("context_length_exceeded")
        .with_param(param)
}

#[async_trait]
impl Inference for LocalModels {
    fn models(&self) -> Vec<LocalModel> {
        let describe = |slot: &Arc<Slot>| {
            let present = slot.present();
            let facts = present.as_ref().map(|loaded| loaded.model().facts());
            let (architecture, ability) = match slot.spec.format {
                Format::Gguf => ("llama", "chat"),
                Format::SentenceTransformer => ("bert", "embed"),
            };
            LocalModel {
                id: slot.spec.id.clone(),
                architecture: facts.map_or(architecture, |facts| &facts.architecture).to_owned(),
                context_tokens: facts.map_or(0, |facts| u32::try_from(facts.context).unwrap_or(u32::MAX)),
                capabilities: vec![ability.to_owned()],
                loaded: facts.is_some(),
            }
        };
        self.slots.values().map(describe).collect()
    }

    async fn generate(&self, request: ChatRequest) -> Result<Box<dyn Completion>, Problem> {
        let slot = self.slot(&request.model)?;
        let plan = Plan::new(&request)?;
        if slot.spec.format != Format::Gguf {
            return Err(wrong_kind(&request.model, "answer; it embeds texts"));
        }
        let permit = slot.enter()?;
        let loaded = slot.loaded().await?;
        blocking(move || {
            let Loaded::Chat(chat) = &*loaded else {
                return Err(wrong_kind(&request.model, "answer"));
            };
            plan.fits(chat.vocabulary.size(), chat.places)?;
            let prompt = prompt(chat, &request.model, &request.input)?;
            if prompt.len() >= chat.model.facts().context {
                return Err(exceeded(
                    chat,
                    &request.model,
                    &request.input,
                    &prompt.len().to_string(),
                ));
            }
            let (out, answer) = mpsc::channel(OUTPUT_BUFFER);
            let job = Job {
                prompt,
                plan,
                out,
                _permit: permit,
            };
            chat.jobs
                .send(job)
                .map_err(|_| Problem::internal("the model's thread is gone"))?;
            let stream: Box<dyn Completion> = Box::new(Stream {
                id: request.model,
                answer,
                done: false,
            });
            Ok(stream)
        })
        .await
    }

    async fn embed(&self, request: EmbedRequest) -> Result<EmbedResponse, Problem> {
        let slot = self.slot(&request.model)?;
        check_embed(&request)?;
        if slot.spec.format != Format::SentenceTransformer {
            return Err(wrong_kind(&request.model, "embed texts"));
        }
        let permit = slot.enter()?;
        let loaded = slot.loaded().await?;
        // Set when the caller drops this future, and looked at between batches.
        let gone = Gone(Arc::new(AtomicBool::new(false)));
        let flag = Arc::clone(&gone.0);
        let pool = Arc::clone(&self.pool);
        let answer = blocking(move || {
            let _permit = permit;
            let Loaded::Embed(embed) = &*loaded else {
                return Err(wrong_kind(&request.model, "embed texts"));
            };
            embed_all(embed, &pool, &request, &flag)
        })
        .await;
        drop(gone);
        answer
    }

    async fn rerank(&self, request: RerankRequest) -> Result<Vec<Ranked>, Problem> {
        self.slot(&request.model)?;
        Err(wrong_kind(&request.model, "rank documents"))
    }

    async fn count_tokens(&self, request: ChatRequest) -> Result<u32, Problem> {
        let slot = self.slot(&request.model)?;
        if slot.spec.format != Format::Gguf {
            return Err(wrong_kind(&request.model, "count the tokens of a conversation"));
        }
        let permit = slot.enter()?;
        let loaded = slot.loaded().await?;
        blocking(move || {
            let _permit = permit;
            let Loaded::Chat(chat) = &*loaded else {
                return Err(wrong_kind(&request.model, "count tokens"));
            };
            let count = prompt(chat, &request.model, &request.input)?.len();
            Ok(u32::try_from(count).unwrap_or(u32::MAX))
        })
        .await
    }
}

struct Gone(Arc<AtomicBool>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn check_embed(request: &EmbedRequest) -> Result<(), Problem> {
    if let Some((name, _)) = request.extra.first() {
        let text = format!("Local models do not know the parameter `{name}`.");
        return Err(Problem::new(ProblemKind::Unsupported, text).with_param(name));
    }
    if request.inputs.is_empty() || request.inputs.len() > EMBED_INPUTS {
        let text = format!("`input` holds 1 to {EMBED_INPUTS} texts.");
        return Err(Problem::invalid("input", text));
    }
    for (index, input) in request.inputs.iter().enumerate() {
        let bytes = match input {
            EmbedInput::Text(text) => text.len(),
            EmbedInput::Tokens(tokens) => size_of_val(tokens.as_slice()),
        };
        if bytes == 0 {
            return Err(Problem::invalid(
                format!("input[{index}]"),
                "There is nothing to embed.",
            ));
        }
        if bytes > EMBED_BYTES {
            let text = format!("A text to embed has at most {EMBED_BYTES} bytes.");
            return Err(Problem::new(ProblemKind::TooLarge, text).with_param(format!("input[{index}]")));
        }
    }
    Ok(())
}

fn embed_all(
    embed: &EmbedModel,
    pool: &Pool,
    request: &EmbedRequest,
    gone: &AtomicBool,
) -> Result<EmbedResponse, Problem> {
    let failed = |error: ModelError| error.to_problem(&request.model);
    let width = embed.model.facts().dimensions;
    if request.dimensions.is_some_and(|wanted| wanted as usize != width) {
        let text = format!(
            "The vectors of `{}` have {width} dimensions, neither more nor fewer.",
            request.model
        );
        return Err(Problem::new(ProblemKind::Unsupported, text).with_param("dimensions"));
    }
    let texts = request.inputs.iter().enumerate().map(|(index, input)| match input {
        EmbedInput::Text(text) => embed.windows.text(text).map_err(failed),
        EmbedInput::Tokens(tokens) => embed
            .windows
            .tokens(tokens)
            .ok_or_else(|| Problem::invalid(format!("input[{index}]"), "A token is none of the model's vocabulary.")),
    });
    let texts: Vec<Text> = texts.collect::<Result<_, _>>()?;
    let windows: Vec<&[u32]> = texts.iter().flat_map(|text| &text.windows).map(Vec::as_slice).collect();
    let mut parts = vec![0.0; windows.len() * width];
    for pass in passes(&windows) {
        let batch: Vec<&[u32]> = pass.iter().filter_map(|place| windows.get(*place).copied()).collect();
        let turn = embed.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if gone.load(Ordering::Relaxed) {
            return Err(Problem::new(ProblemKind::Cancelled, "The caller went away."));
        }
        let rows = pool.run(|| embed.model.embed(&batch)).map_err(failed)?;
        drop(turn);
        for (place, row) in pass.iter().zip(rows.chunks_exact(width.max(1))) {
            if let Some(part) = parts.get_mut(place * width..(place + 1) * width) {
                part.copy_from_slice(row);
            }
        }
    }
    let mut vectors = Vec::with_capacity(texts.len() * width);
    let mut rest = parts.as_slice();
    for text in &texts {
        let (own, later) = rest.split_at_checked(text.windows.len() * width).unwrap_or((rest, &[]));
        vectors.extend(text.combine(own, width));
        rest = later;
    }
    // The marks around each window are the model's own and nobody's text: neither covered nor counted.
    let read: usize = texts.iter().map(|text| text.tokens).sum();
    Ok(EmbedResponse {
        dimensions: u32::try_from(width).unwrap_or(u32::MAX),
        vectors,
        covered: texts
            .iter()
            .map(|text| u32::try_from(text.tokens).unwrap_or(u32::MAX))
            .collect(),
        usage: Usage {
            input_tokens: read as u64,
            ..Usage::default()
        },
        extra: Vec::new(),
    })
}

/// An answer as it comes; dropping it stops the work.
struct Stream {
    id: String,
    answer: mpsc::Receiver<Message>,
    done: bool,
}

#[async_trait]
impl Completion for Stream {
    async fn next(&mut self) -> Result<Option<Vec<Chunk>>, Problem> {
        if self.done {
            return Ok(None);
        }
        match self.answer.recv().await {
            Some(Ok((chunks, last))) => {
                self.done = last;
                Ok(Some(chunks))
            }
            Some(Err(error)) => {
                self.done = true;
                Err(error.to_problem(&self.id))
            }
            None => {
                self.done = true;
                Err(ModelError::Failed("its thread ended in the middle of an answer".to_owned()).to_problem(&self.id))
            }
        }
    }
}
