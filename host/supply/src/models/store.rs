//! The folder of artifacts: one folder an artifact, staged beside it and published by a rename. The file `artifact.json`
//! in it says which files belong to it, so that a folder without it counts as absent.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Model, SourceError, Wanted, is_plain_path};
use crate::{
    digest::{Sha256, copy_hashed},
    home::EncajeHome,
    limits::{MODEL_BYTES, MODEL_DEPTH, MODEL_FILES},
    progress::{Progress, Work},
    staging,
};

const RECORD: &str = "artifact.json";

#[derive(Serialize, Deserialize)]
struct Record {
    weights: String,
    files: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    name: String,
    bytes: u64,
}

pub(super) struct Store {
    folder: PathBuf,
}

impl Store {
    pub(super) fn new(home: &EncajeHome) -> Self {
        Self { folder: home.models() }
    }

    pub(super) fn lock_file(&self, key: &Sha256) -> PathBuf {
        self.folder.join(format!("{key}.lock"))
    }

    pub(super) fn get(&self, key: &Sha256) -> Option<Model> {
        let folder = self.folder.join(key.to_string());
        let record: Record = serde_json::from_slice(&fs::read(folder.join(RECORD)).ok()?).ok()?;
        let whole =
            |entry: &Entry| fs::metadata(folder.join(&entry.name)).is_ok_and(|found| found.len() == entry.bytes);
        record.files.iter().all(whole).then_some(())?;
        let files = record.files.iter().map(|entry| folder.join(&entry.name)).collect();
        Some(Model {
            weights: folder.join(record.weights),
            files,
            folder,
            cached: true,
        })
    }

    /// An empty folder on the same file system as the artifacts.
    pub(super) fn stage(&self) -> Result<Staging, SourceError> {
        let staged = staging::folder_in(&self.folder);
        staged
            .map(|folder| Staging { folder })
            .map_err(|error| SourceError::file("write into", &self.folder, error))
    }

    /// Where the beginning of a download is kept from one try to the next.
    pub(super) fn partial(&self, key: &Sha256, repository: &str, file: &str) -> Result<PathBuf, SourceError> {
        let folder = self.folder.join("partial").join(key.to_string());
        fs::create_dir_all(&folder).map_err(|error| SourceError::file("create", &folder, error))?;
        Ok(folder.join(Sha256::of(format!("{repository}\n{file}").as_bytes()).to_string()))
    }

    /// Looks for the file with the digest among those staged, and puts them in place if it is there.
    pub(super) fn publish(&self, staging: Staging, wanted: &Wanted) -> Result<Model, SourceError> {
        let key = wanted.key();
        let record = staging.record(&wanted.sha256)?;
        let path = staging.folder.path();
        for (file, expected) in &wanted.beside {
            let found =
                Sha256::of_file(&path.join(file)).map_err(|error| SourceError::file("read", Path::new(file), error))?;
            if found != *expected {
                return Err(SourceError::Digest {
                    expected: *expected,
                    file: file.clone(),
                    found,
                });
            }
        }
        let text = serde_json::to_vec_pretty(&record).map_err(|error| SourceError::Failed(error.to_string()))?;
        fs::write(path.join(RECORD), text).map_err(|error| SourceError::file("write into", path, error))?;
        // A power cut after the rename must not leave files with their names and lengths, and nothing in them.
        for file in record.files.iter().map(|entry| entry.name.as_str()).chain([RECORD, ""]) {
            sync(&path.join(file))?;
        }
        let folder = self.folder.join(key.to_string());
        if folder.exists() {
            // Incomplete or damaged, or it would have been found before.
            fs::remove_dir_all(&folder).map_err(|error| SourceError::file("remove", &folder, error))?;
        }
        fs::rename(staging.folder.keep(), &folder)
            .map_err(|error| SourceError::file("put into place", &folder, error))?;
        sync(&self.folder)?;
        // The beginnings of downloads that are now whole, or that another source made needless.
        let _ = fs::remove_dir_all(self.folder.join("partial").join(key.to_string()));
        let model = self
            .get(&key)
            .ok_or_else(|| SourceError::Failed("it vanished as it was put into place".into()))?;
        Ok(Model { cached: false, ..model })
    }
}

fn sync(path: &Path) -> Result<(), SourceError> {
    let synced = fs::File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|error| SourceError::file("write to the disk", path, error))
}

/// Files on their way in.
pub(super) struct Staging {
    folder: tempfile::TempDir,
}

impl Staging {
    /// The folder of all artifacts, for other temporary files on the same file system.
    pub(super) fn parent(&self) -> &Path {
        self.folder.path().parent().unwrap_or(Path::new("/"))
    }

    /// The place of a file with this path inside the artifact; two of one path are refused.
    pub(super) fn place(&self, path: &str) -> Result<PathBuf, SourceError> {
        let place = self.folder.path().join(path);
        if !is_plain_path(path) || path == RECORD || place.exists() {
            return Err(SourceError::Failed(format!(
                "it has two files {path:?}, or a name that cannot be kept"
            )));
        }
        let parent = place.parent().unwrap_or(&place);
        fs::create_dir_all(parent).map_err(|error| SourceError::file("create", parent, error))?;
        Ok(place)
    }

    /// Moves a finished download in.
    pub(super) fn take(&self, from: &Path, path: &str) -> Result<(), SourceError> {
        fs::rename(from, self.place(path)?).map_err(|error| SourceError::file("move", from, error))
    }

    /// Copies a file, or all files of a folder.
    pub(super) fn copy_from(&self, path: &Path, progress: &dyn Progress) -> Result<(), SourceError> {
        let is_folder = fs::metadata(path)
            .map_err(|error| SourceError::file("read", path, error))?
            .is_dir();
        let mut files = vec![path.to_owned()];
        if is_folder {
            files = files_in(path)?;
        }
        let base = if is_folder { path } else { path.parent().unwrap_or(path) };
        let length = |path: &PathBuf| fs::metadata(path).map_or(0, |found| found.len());
        let total: u64 = files.iter().map(length).sum();
        if total > MODEL_BYTES {
            return Err(SourceError::Failed(format!(
                "it has {total} bytes, more than {MODEL_BYTES}"
            )));
        }
        let meter = progress.start(&format!("copying {}", path.display()), Work::Bytes(Some(total)));
        let mut before = 0;
        for file in files {
            let place = self.place(&relative(&file, base)?)?;
            let mut from = fs::File::open(&file).map_err(|error| SourceError::file("read", &file, error))?;
            let mut to = fs::File::create(&place).map_err(|error| SourceError::file("write", &place, error))?;
            let copied = copy_hashed(&mut from, &mut to, &mut |bytes| meter.done(before + bytes));
            before += copied.map_err(|error| SourceError::file("copy", &file, error))?.1;
        }
        Ok(())
    }

    /// Which file has the digest. The largest is read first, and named when none has it: it is the likeliest weights.
    fn record(&self, sha256: &Sha256) -> Result<Record, SourceError> {
        let path = self.folder.path();
        let mut files = Vec::new();
        for file in files_in(path)? {
            let found = fs::metadata(&file).map_err(|error| SourceError::file("read", &file, error))?;
            files.push(Entry {
                name: relative(&file, path)?,
                bytes: found.len(),
            });
        }
        files.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
        let mut largest = None;
        let mut weights = None;
        for entry in &files {
            let place = path.join(&entry.name);
            let found = Sha256::of_file(&place).map_err(|error| SourceError::file("read", &place, error))?;
            if found == *sha256 {
                weights = Some(entry.name.clone());
                break;
            }
            largest.get_or_insert((entry.name.clone(), found));
        }
        match (weights, largest) {
            (Some(weights), _) => {
                files.sort_by(|a, b| a.name.cmp(&b.name));
                Ok(Record { weights, files })
            }
            (None, Some((file, found))) => Err(SourceError::Digest {
                expected: *sha256,
                file,
                found,
            }),
            (None, None) => Err(SourceError::Failed("it gave no file".to_owned())),
        }
    }
}

/// All files of a folder and of the folders in it, within the limit of one artifact.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let mut files = Vec::new();
    let mut open = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = open.pop() {
        let read = |error| SourceError::file("read", &folder, error);
        for entry in fs::read_dir(&folder).map_err(read)? {
            let path = entry.map_err(read)?.path();
            if path.is_file() {
                files.push(path);
            } else if path.is_dir() {
                if depth == MODEL_DEPTH {
                    return Err(SourceError::Failed(format!("it has folders deeper than {MODEL_DEPTH}")));
                }
                open.push((path, depth + 1));
            }
        }
        if files.len() > MODEL_FILES {
            return Err(SourceError::Failed(format!("it holds more than {MODEL_FILES} files")));
        }
    }
    if files.is_empty() {
        return Err(SourceError::Failed("it holds no file".to_owned()));
    }
    Ok(files)
}

fn relative(file: &Path, base: &Path) -> Result<String, SourceError> {
    let path = file.strip_prefix(base).ok().and_then(Path::to_str);
    path.map(str::to_owned)
        .ok_or_else(|| SourceError::Failed(format!("{file:?} has no UTF-8 name")))
}
