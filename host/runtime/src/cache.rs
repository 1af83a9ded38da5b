//! Compiled code on disk, keyed by the component's hash and by everything that the compiler's output depends on.
//!
//! Only what this process or an earlier one compiled is ever loaded: native code from elsewhere would run outside the
//! sandbox. Each entry carries its own digest, so that a torn or changed file is compiled anew.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use encaje_core::{Problem, ProblemKind};
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::limits;

pub(crate) struct Cache {
    folder: PathBuf,
    compatibility: u64,
}

/// Bytes of the digest at the end of an entry.
const DIGEST: usize = 32;

impl Cache {
    pub(crate) fn open(folder: PathBuf, engine: &Engine) -> Result<Self, Problem> {
        make_private(&folder).map_err(|error| {
            Problem::internal(format!("the cache folder for compiled plugins cannot be made: {error}"))
        })?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self {
            folder,
            compatibility: hasher.finish(),
        })
    }

    /// The compiled component; compiles and remembers it where it is not there.
    pub(crate) fn load(&self, engine: &Engine, wasm: &[u8]) -> Result<Component, Problem> {
        let path = self.path(wasm);
        if let Some(code) = read_entry(&path) {
            // SAFETY: the entry was written by `store` below into a folder that only this user may write, under a key
            // that covers the engine's settings and version, and its digest holds.
            match unsafe { Component::deserialize(engine, &code) } {
                Ok(component) => {
                    used(&path);
                    return Ok(component);
                }
                Err(error) => tracing::warn!(%error, "a cached compilation is of no use; compiling again"),
            }
        }
        let component = Component::new(engine, wasm).map_err(|error| {
            Problem::new(
                ProblemKind::Misconfigured,
                "The file is not a component that this host can run.",
            )
            .with_detail(format!("{error:#}"))
        })?;
        if let Err(error) = store(&path, &component).and_then(|()| Ok(self.forget_old()?)) {
            tracing::warn!(%error, "a compilation could not be cached");
        }
        Ok(component)
    }

    /// Each edit of a plugin and each version of the engine leaves an entry: those that were not used for longest go.
    fn forget_old(&self) -> std::io::Result<()> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            // Another process may forget some at the same time.
            let Ok(entry) = entry else { continue };
            let Ok(at) = entry.metadata().and_then(|found| found.modified()) else {
                continue;
            };
            entries.push((at, entry.path()));
        }
        entries.sort_unstable();
        let old = entries.len().saturating_sub(limits::COMPILED);
        for (_, path) in entries.into_iter().take(old) {
            let _ = std::fs::remove_file(path);
        }
        Ok(())
    }

    fn path(&self, wasm: &[u8]) -> PathBuf {
        let digest: String = Sha256::digest(wasm).iter().map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(format!("{digest}-{:016x}.bin", self.compatibility))
    }
}

/// Notes that an entry was of use; where that fails, it is forgotten a little early.
fn used(path: &Path) {
    let now = std::time::SystemTime::now();
    let _ = std::fs::File::options()
        .write(true)
        .open(path)
        .and_then(|file| file.set_modified(now));
}

fn read_entry(path: &Path) -> Option<Vec<u8>> {
    let mut entry = std::fs::read(path).ok()?;
    let code = entry.len().checked_sub(DIGEST)?;
    let digest = entry.split_off(code);
    (Sha256::digest(&entry).as_slice() == digest).then_some(entry)
}

fn store(path: &Path, component: &Component) -> Result<(), Box<dyn std::error::Error>> {
    let mut entry = component.serialize()?;
    let digest = Sha256::digest(&entry);
    entry.extend_from_slice(&digest);
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    std::fs::write(&temporary, entry)?;
    std::fs::rename(&temporary, path)?;
    Ok(())
}

fn make_private(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}
