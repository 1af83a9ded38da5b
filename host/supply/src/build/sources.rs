//! What a plugin is made of: its folder, its workspace, its path dependencies and the contracts beside them, and the hash
//! of all that. Reads Cargo.toml files only as far as names and paths go; cargo itself decides the rest.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use sha2::Digest;
use toml::{Table, Value};

use super::{BuildError, read_manifest_file};
use crate::limits::{SOURCE_BYTES, SOURCE_DEPTH, SOURCE_FILES};

/// A plugin folder whose language is Rust.
#[derive(Debug)]
pub(super) struct Plugin {
    /// Canonical.
    pub(super) folder: PathBuf,
    /// The cargo package's name.
    pub(super) name: String,
    /// The name of its library, which is the package's where nothing else is said.
    pub(super) library: String,
    /// The folder of the cargo workspace; the plugin's own where it stands alone.
    pub(super) workspace: PathBuf,
}

impl Plugin {
    pub(super) fn open(folder: &Path) -> Result<Self, BuildError> {
        let folder = folder
            .canonicalize()
            .map_err(|error| BuildError::file("open", folder, error))?;
        let not = |reason: &str| BuildError::NotAPlugin {
            path: folder.clone(),
            reason: reason.to_owned(),
        };
        let manifest: Table = read_manifest_file(&folder)?
            .parse()
            .map_err(|error: toml::de::Error| not(&format!("plugin.toml is not TOML: {}", error.message())))?;
        let language = manifest.get("build").and_then(|build| build.get("language"));
        match language.map(|language| language.as_str().unwrap_or("(no text)")) {
            None | Some("rust") => {}
            Some(other) => {
                return Err(BuildError::Language {
                    path: folder.clone(),
                    language: other.to_owned(),
                });
            }
        }
        if !folder.join("Cargo.toml").is_file() {
            return Err(not("it has no Cargo.toml"));
        }
        let package = read_table(&folder.join("Cargo.toml"))?;
        let name = package
            .get("package")
            .and_then(|package| package.get("name"))
            .and_then(Value::as_str);
        let name = name
            .ok_or_else(|| not("its Cargo.toml has no package.name"))?
            .to_owned();
        let library = package
            .get("lib")
            .and_then(|lib| lib.get("name"))
            .and_then(Value::as_str);
        let library = library.unwrap_or(&name).to_owned();
        let workspace = workspace_of(&folder, &package);
        Ok(Self {
            folder,
            name,
            library,
            workspace,
        })
    }

    /// What it depends on by path: names, and folders that may not be there.
    pub(super) fn path_dependencies(&self) -> Result<Vec<(String, PathBuf)>, BuildError> {
        let package = read_table(&self.folder.join("Cargo.toml"))?;
        let shared = read_table(&self.workspace.join("Cargo.toml")).unwrap_or_default();
        Ok(path_dependencies(&package, &self.folder, &shared, &self.workspace))
    }

    /// For messages.
    pub(super) fn what(&self) -> String {
        format!("the build of {}", self.name)
    }

    /// Whether versions are chosen; until then the hash would change by building.
    pub(super) fn is_locked(&self) -> bool {
        self.workspace.join("Cargo.lock").is_file()
    }
}

fn read_table(path: &Path) -> Result<Table, BuildError> {
    let text = fs::read_to_string(path).map_err(|error| BuildError::file("read", path, error))?;
    text.parse().map_err(|error: toml::de::Error| BuildError::NotAPlugin {
        path: path.to_owned(),
        reason: format!("it is not TOML: {}", error.message()),
    })
}

/// The nearest folder upwards whose Cargo.toml is a workspace, as cargo looks for it.
fn workspace_of(folder: &Path, package: &Table) -> PathBuf {
    let own = package.get("workspace").is_some();
    let named = package
        .get("package")
        .and_then(|package| package.get("workspace"))
        .and_then(Value::as_str);
    if let (false, Some(named)) = (own, named) {
        let path = folder.join(named);
        return path.canonicalize().unwrap_or(path);
    }
    let is_workspace = |path: &Path| {
        fs::read_to_string(path.join("Cargo.toml"))
            .is_ok_and(|text| text.parse::<Table>().is_ok_and(|table| table.contains_key("workspace")))
    };
    folder
        .ancestors()
        .find(|path| is_workspace(path))
        .unwrap_or(folder)
        .to_owned()
}

/// The folders whose content decides what the plugin becomes: its own, its path dependencies and theirs, and every
/// `wit` folder beside or above one of them, since bindings are generated from it.
fn folders(plugin: &Plugin) -> Result<BTreeSet<PathBuf>, BuildError> {
    let mut found = BTreeSet::new();
    let mut open = vec![(plugin.folder.clone(), 0)];
    while let Some((folder, depth)) = open.pop() {
        if depth > SOURCE_DEPTH || !found.insert(folder.clone()) {
            continue;
        }
        let manifest = folder.join("Cargo.toml");
        if !manifest.is_file() {
            continue;
        }
        let package = read_table(&manifest)?;
        let workspace = workspace_of(&folder, &package);
        let shared = read_table(&workspace.join("Cargo.toml")).unwrap_or_default();
        for (_, path) in path_dependencies(&package, &folder, &shared, &workspace) {
            // One that is not there is for cargo to name; with it the error is as good as any.
            if let Ok(path) = path.canonicalize() {
                open.push((path, depth + 1));
            }
        }
        // Patches replace registry crates by folders; they stand at the workspace's top.
        for path in patches(&shared, &workspace) {
            open.extend(path.canonicalize().ok().map(|path| (path, depth + 1)));
        }
    }
    let beside: Vec<PathBuf> = found
        .iter()
        .flat_map(|folder| folder.ancestors().take(4))
        .map(|folder| folder.join("wit"))
        .filter(|wit| holds_wit(wit))
        .filter_map(|wit| wit.canonicalize().ok())
        .collect();
    found.extend(beside);
    Ok(found)
}

fn holds_wit(folder: &Path) -> bool {
    let is_wit = |path: &Path| path.extension().is_some_and(|extension| extension == "wit");
    let entries = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder)
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default()
    };
    entries(folder)
        .iter()
        .any(|path| is_wit(path) || entries(path).iter().any(|inner| is_wit(inner)))
}

/// Name and `path` of every dependency that has one, also of those that the workspace declares for its members.
fn path_dependencies(package: &Table, folder: &Path, shared: &Table, workspace: &Path) -> Vec<(String, PathBuf)> {
    let inherited = shared
        .get("workspace")
        .and_then(|workspace| workspace.get("dependencies"));
    let mut sections: Vec<&Table> = Vec::new();
    let kinds = ["dependencies", "build-dependencies"];
    sections.extend(kinds.iter().filter_map(|kind| package.get(*kind)?.as_table()));
    if let Some(targets) = package.get("target").and_then(Value::as_table) {
        for target in targets.values() {
            sections.extend(kinds.iter().filter_map(|kind| target.get(kind)?.as_table()));
        }
    }
    let mut paths = Vec::new();
    for (name, dependency) in sections.into_iter().flatten() {
        if let Some(path) = dependency.get("path").and_then(Value::as_str) {
            paths.push((name.clone(), folder.join(path)));
        } else if dependency.get("workspace").and_then(Value::as_bool) == Some(true) {
            let path = inherited
                .and_then(|all| all.get(name))
                .and_then(|one| one.get("path"))
                .and_then(Value::as_str);
            paths.extend(path.map(|path| (name.clone(), workspace.join(path))));
        }
    }
    paths
}

fn patches(shared: &Table, workspace: &Path) -> Vec<PathBuf> {
    let sources = shared.get("patch").and_then(Value::as_table);
    let crates = sources
        .into_iter()
        .flat_map(Table::values)
        .filter_map(Value::as_table)
        .flat_map(Table::values);
    crates
        .filter_map(|one| Some(workspace.join(one.get("path")?.as_str()?)))
        .collect()
}

/// The hash of everything that decides the result, with `context` (builder, compiler) before it.
pub(super) fn key(plugin: &Plugin, context: &str) -> Result<String, BuildError> {
    let mut files = Files {
        of: &plugin.folder,
        found: BTreeMap::new(),
        bytes: 0,
    };
    for folder in folders(plugin)? {
        files.collect(&folder, 0)?;
    }
    let mut above = Some(plugin.workspace.as_path());
    for name in ["Cargo.toml", "Cargo.lock"] {
        files.add(&plugin.workspace.join(name))?;
    }
    // Cargo and rustup look for these upwards from where they run.
    while let Some(folder) = above {
        for name in [
            ".cargo/config.toml",
            ".cargo/config",
            "rust-toolchain.toml",
            "rust-toolchain",
        ] {
            files.add(&folder.join(name))?;
        }
        above = folder.parent();
    }
    files.hash(&format!("{context}\n{}\n{}\n", plugin.name, plugin.folder.display()))
}

/// The hash of all files of one folder, with `context` before it: for languages whose plugins are folders of their own.
pub(super) fn key_of_folder(folder: &Path, context: &str) -> Result<String, BuildError> {
    let mut files = Files {
        of: folder,
        found: BTreeMap::new(),
        bytes: 0,
    };
    files.collect(folder, 0)?;
    files.hash(&format!("{context}\n{}\n", folder.display()))
}

/// The hash of these files, with `context` before it; of a folder, that of the files that lie in it and not deeper.
pub(super) fn key_of_files(paths: &BTreeSet<PathBuf>, context: &str) -> Result<String, BuildError> {
    let mut files = Files {
        of: Path::new("/"),
        found: BTreeMap::new(),
        bytes: 0,
    };
    for path in paths {
        if !path.is_dir() {
            files.add(path)?;
            continue;
        }
        for entry in fs::read_dir(path).map_err(|error| BuildError::file("list", path, error))? {
            let entry = entry.map_err(|error| BuildError::file("list", path, error))?;
            files.add(&entry.path())?;
        }
    }
    files.hash(context)
}

/// Copies the files that `key_of_folder` covers, for tools that write beside the sources that they read.
pub(super) fn copy_folder(folder: &Path, to: &Path) -> Result<(), BuildError> {
    let mut files = Files {
        of: folder,
        found: BTreeMap::new(),
        bytes: 0,
    };
    files.collect(folder, 0)?;
    for path in files.found.keys() {
        let Ok(inner) = path.strip_prefix(folder) else {
            continue;
        };
        let target = to.join(inner);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(|error| BuildError::file("create", parent, error))?;
        }
        fs::copy(path, &target).map_err(|error| BuildError::file("copy", path, error))?;
    }
    Ok(())
}

/// Folders that hold build results or downloads, in whatever language. What of them a build reads its tool names
/// afterwards, see [`super::outside`].
const NO_SOURCE: [&str; 2] = ["node_modules", "__pycache__"];

/// Whether a folder holds what a tool made and may make again; cargo and others mark theirs so.
fn is_cache(folder: &Path) -> bool {
    folder.join("CACHEDIR.TAG").is_file()
}

/// The files to hash, in an order that does not depend on the file system.
struct Files<'a> {
    of: &'a Path,
    found: BTreeMap<PathBuf, u64>,
    bytes: u64,
}

impl Files<'_> {
    fn collect(&mut self, folder: &Path, depth: usize) -> Result<(), BuildError> {
        if depth > SOURCE_DEPTH {
            return Err(self.too_large(format!("{} lies deeper than {SOURCE_DEPTH} folders", folder.display())));
        }
        for entry in fs::read_dir(folder).map_err(|error| BuildError::file("list", folder, error))? {
            let entry = entry.map_err(|error| BuildError::file("list", folder, error))?;
            let (name, path) = (entry.file_name(), entry.path());
            let kind = entry
                .file_type()
                .map_err(|error| BuildError::file("look at", &path, error))?;
            let is_folder = if kind.is_symlink() {
                path.is_dir()
            } else {
                kind.is_dir()
            };
            // Build results and an editor's own folders are no source.
            let no_source = |name: &OsStr| NO_SOURCE.iter().any(|other| name == *other);
            if is_folder && (no_source(&name) || name.as_encoded_bytes().starts_with(b".") || is_cache(&path)) {
                continue;
            }
            if is_folder {
                self.collect(&path, depth + 1)?;
            } else {
                self.add(&path)?;
            }
        }
        Ok(())
    }

    /// A file that is not there is not hashed; when it appears, the hash changes.
    fn add(&mut self, path: &Path) -> Result<(), BuildError> {
        let length = match fs::metadata(path) {
            Ok(found) if found.is_file() => found.len(),
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(BuildError::file("read", path, error)),
        };
        if self.found.insert(path.to_owned(), length).is_none() {
            self.bytes += length;
        }
        if self.found.len() > SOURCE_FILES {
            return Err(self.too_large(format!("more than {SOURCE_FILES} files")));
        }
        if self.bytes > SOURCE_BYTES {
            return Err(self.too_large(format!("more than {SOURCE_BYTES} bytes")));
        }
        Ok(())
    }

    fn too_large(&self, reason: String) -> BuildError {
        BuildError::TooLarge {
            path: self.of.to_owned(),
            reason,
        }
    }

    fn hash(&self, context: &str) -> Result<String, BuildError> {
        let mut hash = sha2::Sha256::new();
        // Each part goes in with its length before it, so that no two sets of files make the same stream.
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        part(context.as_bytes());
        let mut content = Vec::new();
        for path in self.found.keys() {
            part(path.as_os_str().as_encoded_bytes());
            content.clear();
            fs::File::open(path)
                .and_then(|file| file.take(SOURCE_BYTES).read_to_end(&mut content))
                .map_err(|error| BuildError::file("read", path, error))?;
            part(&content);
        }
        let digest: [u8; 32] = hash.finalize().into();
        Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}
