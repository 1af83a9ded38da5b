//! For languages whose compiler makes a core module: bindings of the contracts, written by wit-bindgen's generators, and
//! the component around the module. Both are done by libraries, so that an author needs no tool beside the compiler. What
//! the module imports of WASI 0.1 is put through the adapter; nothing is run here.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use wit_bindgen_core::{
    Files, WorldGenerator,
    wit_parser::{Resolve, WorldId},
};
use wit_component::{ComponentEncoder, StringEncoding};

use super::Job;
use crate::{build::BuildError, limits::COMPONENT_BYTES};

/// Part of the cache key of every language that stands on this file.
pub(super) const TOOLS: &str = "wit-bindgen 0.63.0, wit-component 0.262.0, reactor adapter 48.0.8";

/// The contracts of one kind of plugin.
pub(super) struct Contract {
    resolve: Resolve,
    world: WorldId,
    /// For messages.
    what: String,
}

impl Contract {
    /// Reads what lies in the job's `wit` folder.
    pub(super) fn open(job: &Job<'_>) -> Result<Self, BuildError> {
        let what = job.what();
        let none = |error: anyhow::Error| BuildError::NoComponent {
            what: what.clone(),
            reason: format!("its contracts cannot be read: {error:#}"),
        };
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(job.wit).map_err(none)?;
        let world = resolve.select_world(&[package], Some(job.world)).map_err(none)?;
        Ok(Self { resolve, world, what })
    }

    /// Writes the bindings that this generator makes into `folder`, which is made; each text goes through `edit` first.
    pub(super) fn bindings(
        &mut self,
        generator: &mut dyn WorldGenerator,
        folder: &Path,
        edit: impl Fn(&str) -> String,
    ) -> Result<(), BuildError> {
        let mut files = Files::default();
        generator
            .generate(&mut self.resolve, self.world, &mut files)
            .map_err(|error| self.none(format!("its bindings cannot be made: {error:#}")))?;
        for (name, bytes) in files.iter() {
            let path = inside(folder, name).ok_or_else(|| self.none(format!("{name:?} is no name for a binding")))?;
            let failed = |error| BuildError::file("write", &path, error);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(failed)?;
            }
            fs::write(&path, edit(&String::from_utf8_lossy(bytes))).map_err(failed)?;
        }
        Ok(())
    }

    /// Makes a component of a core module and writes it to `to`.
    pub(super) fn component(&self, core: &Path, to: &Path) -> Result<(), BuildError> {
        let length = fs::metadata(core)
            .map_err(|error| BuildError::file("read", core, error))?
            .len();
        if length > COMPONENT_BYTES {
            return Err(self.none(format!("the module has {length} bytes, more than {COMPONENT_BYTES}")));
        }
        let mut module = fs::read(core).map_err(|error| BuildError::file("read", core, error))?;
        let component = self
            .encode(&mut module)
            .map_err(|error| self.none(format!("{error:#}")))?;
        fs::write(to, component).map_err(|error| BuildError::file("write", to, error))
    }

    fn encode(&self, module: &mut Vec<u8>) -> anyhow::Result<Vec<u8>> {
        use wasi_preview1_component_adapter_provider::{
            WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME as NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER as ADAPTER,
        };
        wit_component::embed_component_metadata(module, &self.resolve, self.world, StringEncoding::UTF8, false)?;
        let mut encoder = ComponentEncoder::default();
        encoder.validate(true);
        encoder.adapter(NAME, ADAPTER)?;
        encoder.module(module)?;
        encoder.encode()
    }

    fn none(&self, reason: String) -> BuildError {
        BuildError::NoComponent {
            what: self.what.clone(),
            reason,
        }
    }
}

/// The path of a generated file; none where the name would lead out of the folder.
fn inside(folder: &Path, name: &str) -> Option<PathBuf> {
    let plain = Path::new(name)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    (plain && !name.is_empty()).then(|| folder.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::wit;

    /// Bindings of every kind, in each language, from the contracts of the tree.
    #[test]
    fn bindings_of_every_kind_can_be_made() {
        let folder = tempfile::tempdir().unwrap();
        for kind in wit::kinds().split(", ") {
            let (wit_folder, world) = (folder.path().join(kind), wit::world(kind));
            wit::lay_out(kind, &wit_folder).unwrap();
            let job = Job {
                name: "x",
                folder: folder.path(),
                entry: None,
                kind,
                wit: &wit_folder,
                world: &world,
                sdk: folder.path(),
                work: folder.path(),
            };
            let made = folder.path().join(format!("{kind}-made"));
            let mut contract = Contract::open(&job).unwrap();
            contract
                .bindings(wit_bindgen_c::Opts::default().build().as_mut(), &made, str::to_owned)
                .unwrap();
            let header = fs::read_to_string(made.join("plugin.h")).unwrap();
            assert!(header.contains("bool exports_encaje_common_lifecycle_check("), "{kind}");
            // What is no module is an error in words.
            fs::write(made.join("core.wasm"), "no module").unwrap();
            let error = contract
                .component(&made.join("core.wasm"), &made.join("x.wasm"))
                .unwrap_err();
            assert!(
                error.to_string().starts_with("the build of x made no component"),
                "{error}"
            );
        }
    }

    /// The text is kept by hand, and a component of other tools under an old key would be served for ever.
    #[test]
    fn the_identity_names_the_tools_that_are_compiled_in() {
        let locked = include_str!("../../../../../Cargo.lock");
        let named: Vec<(&str, &str)> = TOOLS.split(", ").filter_map(|tool| tool.rsplit_once(' ')).collect();
        assert_eq!(named.len(), 3);
        for (tool, version) in named {
            let crates = match tool {
                "wit-bindgen" => &["wit-bindgen-core", "wit-bindgen-c", "wit-bindgen-go"][..],
                "reactor adapter" => &["wasi-preview1-component-adapter-provider"],
                other => &[other],
            };
            for one in crates {
                let entry = format!("name = \"{one}\"\nversion = \"{version}\"\n");
                assert!(locked.contains(&entry), "{one} is not {version}");
            }
        }
    }

    #[test]
    fn a_generated_name_stays_in_its_folder() {
        let folder = Path::new("/plugin");
        assert_eq!(inside(folder, "a/b.go"), Some(PathBuf::from("/plugin/a/b.go")));
        for name in ["../a", "/a", "", "a/../../b"] {
            assert_eq!(inside(folder, name), None, "{name}");
        }
    }
}
