//! A model in memory with what serves it: a chat model with its thread, or an encoder with its windows.

use std::fs::File;
use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};

use candle_core::quantized::gguf_file::Content;
use encaje_core::chat::Message;
use encaje_core::{Problem, ProblemKind};

use crate::chat::{Template, Vocabulary, turns};
use crate::embed::{Bert, Windows};
use crate::error::ModelError;
use crate::gguf::{Llama, Metadata};
use crate::limits::CACHE_BYTES;
use crate::model::Model;
use crate::pool::Pool;
use crate::scheduler::{Job, Scheduler};
use crate::spec::{Format, ModelSpec};

/// A model that answers.
pub(crate) struct ChatModel {
    /// Its arithmetic.
    pub(crate) model: Arc<dyn Model>,
    /// Its tokens.
    pub(crate) vocabulary: Arc<Vocabulary>,
    /// Its template, where the file has one.
    pub(crate) template: Option<Template>,
    /// Answers that it makes at once.
    pub(crate) places: usize,
    /// To its thread, which ends when this is dropped and all is answered.
    pub(crate) jobs: mpsc::Sender<Job>,
}

/// A model that embeds.
pub(crate) struct EmbedModel {
    /// Its arithmetic.
    pub(crate) model: Arc<dyn Model>,
    /// Its tokens.
    pub(crate) windows: Windows,
    /// Held for one pass: else every request that waits would have a pass between two tokens of an answer.
    pub(crate) turn: Mutex<()>,
}

/// A model in memory.
pub(crate) enum Loaded {
    /// It answers.
    Chat(Box<ChatModel>),
    /// It embeds.
    Embed(Box<EmbedModel>),
}

impl Loaded {
    /// Reads a model's files; blocks for as long as that takes.
    ///
    /// # Errors
    /// Every [`ModelError`] of files.
    pub(crate) fn load(spec: &ModelSpec, pool: &Arc<Pool>) -> Result<Self, ModelError> {
        // A reader that trips over a damaged file must not take the server with it.
        catch_unwind(AssertUnwindSafe(|| match spec.format {
            Format::Gguf => load_chat(spec, pool).map(|chat| Self::Chat(Box::new(chat))),
            Format::SentenceTransformer => {
                let (model, windows) = Bert::load(&spec.path, spec.limits.context_tokens)?;
                Ok(Self::Embed(Box::new(EmbedModel {
                    model: Arc::new(model),
                    windows,
                    turn: Mutex::new(()),
                })))
            }
        }))
        .unwrap_or_else(|_| Err(ModelError::Malformed("the reader panicked".to_owned())))
    }

    /// Its arithmetic, whatever it does.
    pub(crate) fn model(&self) -> &Arc<dyn Model> {
        match self {
            Self::Chat(chat) => &chat.model,
            Self::Embed(embed) => &embed.model,
        }
    }
}

fn open(path: &Path) -> Result<BufReader<File>, ModelError> {
    let file = path
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let opened = File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => ModelError::Missing { file },
        _ => ModelError::Unreadable {
            file,
            reason: error.to_string(),
        },
    });
    opened.map(|file| BufReader::with_capacity(1 << 20, file))
}

/// A GGUF file in memory, without a thread or a queue: for benches, and for tests of the arithmetic and the tokenizer.
pub struct GgufModel {
    pub(crate) model: Arc<dyn Model>,
    pub(crate) vocabulary: Arc<Vocabulary>,
    template: Option<Template>,
}

impl GgufModel {
    /// Reads the file; `most` lowers its context.
    ///
    /// # Errors
    /// Every [`ModelError`] of files.
    pub fn open(path: &Path, most: Option<usize>) -> Result<Self, ModelError> {
        let mut file = open(path)?;
        let content = Content::read(&mut file).map_err(|error| ModelError::Malformed(error.to_string()))?;
        let metadata = Metadata::new(&content);
        let vocabulary = Vocabulary::new(&metadata)?;
        let source = metadata.text("tokenizer.chat_template")?;
        let template = source
            .map(|source| Template::new(source, vocabulary.marks()))
            .transpose()?;
        let model = Llama::load(&content, &mut file, most)?;
        Ok(Self {
            model: Arc::new(model),
            vocabulary: Arc::new(vocabulary),
            template,
        })
    }

    /// Its arithmetic.
    pub fn model(&self) -> &dyn Model {
        &*self.model
    }

    /// The token ids of a text; control tokens in it are taken as such.
    ///
    /// # Errors
    /// `Failed` where the text defeats the splitter.
    pub fn tokenize(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        self.vocabulary.encode(text)
    }

    /// The prompt of a conversation, as the file's chat template has it.
    ///
    /// # Errors
    /// `Unsupported` where there is no template or a message holds more than text; what the template says otherwise.
    pub fn render(&self, messages: &[Message]) -> Result<String, Problem> {
        match &self.template {
            Some(template) => template.render(&turns(messages)?),
            None => Err(Problem::new(
                ProblemKind::Unsupported,
                "The model has no chat template.",
            )),
        }
    }
}

fn load_chat(spec: &ModelSpec, pool: &Arc<Pool>) -> Result<ChatModel, ModelError> {
    let GgufModel {
        model,
        vocabulary,
        template,
    } = GgufModel::open(&spec.path, spec.limits.context_tokens)?;
    let one = (model.facts().context * model.facts().cache_bytes).max(1);
    let places = spec.limits.active.min(CACHE_BYTES / one).max(1);
    let (jobs, receiver) = mpsc::channel();
    let scheduler = Scheduler::new(
        Arc::clone(&model),
        Arc::clone(&vocabulary),
        Arc::clone(pool),
        places,
        receiver,
    );
    std::thread::Builder::new()
        .name(format!("model-{}", spec.id))
        .spawn(move || scheduler.run())
        .map_err(|error| ModelError::Failed(format!("no thread: {error}")))?;
    Ok(ChatModel {
        model,
        vocabulary,
        template,
        places,
        jobs,
    })
}
