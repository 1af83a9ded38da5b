//! What esbuild says of the module that it made: the files that it read, and what the module exports. Its own words are JSON; nothing is resolved
//! here.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::build::BuildError;

/// Files that decide how a source is read or which file a name means, wherever they lie above a source. Which of them
/// were looked at is not told.
const SETTINGS: [&str; 3] = ["package.json", "tsconfig.json", "jsconfig.json"];
/// Before a file that a package's settings put an empty module in the place of.
const DISABLED: &str = "(disabled):";

/// A metafile.
#[derive(Debug, Deserialize)]
pub(super) struct Bundled {
    /// By their paths, relative to the folder that esbuild ran in.
    inputs: BTreeMap<String, serde::de::IgnoredAny>,
    /// The one module.
    outputs: BTreeMap<String, Output>,
}

#[derive(Debug, Deserialize)]
struct Output {
    #[serde(default)]
    exports: Vec<String>,
}

impl Bundled {
    pub(super) fn open(path: &Path) -> Result<Self, BuildError> {
        let failed = |error| BuildError::file("read", path, error);
        let text = fs::read(path).map_err(failed)?;
        serde_json::from_slice(&text).map_err(|error| failed(error.into()))
    }

    /// Why the module is no plugin of this kind, where it is none. The component would not tell: it exports all of its
    /// world, whatever the module has, and ends at the first call.
    pub(super) fn lacks(&self, kind: &str) -> Option<String> {
        let exports: Vec<&str> = self
            .outputs
            .values()
            .flat_map(|output| &output.exports)
            .map(String::as_str)
            .collect();
        if ["lifecycle", kind].iter().all(|name| exports.contains(name)) {
            return None;
        }
        let has = match exports.as_slice() {
            [] => "nothing".to_owned(),
            some => some.join(", "),
        };
        Some(format!(
            "a plugin of kind `{kind}` exports `lifecycle` and `{kind}`, and its module exports {has}: end it with \
             `export const {{ lifecycle, {kind} }} = …`, or correct `kind` in plugin.toml"
        ))
    }

    /// All files that decided what the module is, for an esbuild that ran in `folder`; some need not be there.
    pub(super) fn read(&self, folder: &Path) -> Vec<PathBuf> {
        let mut found = BTreeSet::new();
        for name in self.inputs.keys() {
            let path = folder.join(name.strip_prefix(DISABLED).unwrap_or(name));
            let path = path.canonicalize().unwrap_or(path);
            for above in path.ancestors().skip(1) {
                found.extend(SETTINGS.map(|name| above.join(name)));
            }
            found.insert(path);
        }
        found.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_counts_with_the_settings_above_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (plugin, told) = (root.join("plugin"), root.join("bundle.json"));
        fs::create_dir(&plugin).unwrap();
        fs::write(root.join("x.js"), "").unwrap();
        fs::write(
            &told,
            r#"{"inputs":{"../x.js":{"bytes":1},"(disabled):node_modules/fs/i.js":{}},"outputs":{}}"#,
        )
        .unwrap();
        let read = Bundled::open(&told).unwrap().read(&plugin);
        for wanted in [
            "x.js",
            "package.json",
            "plugin/node_modules/fs/i.js",
            "plugin/node_modules/fs/package.json",
        ] {
            assert!(read.contains(&root.join(wanted)), "{wanted}: {read:?}");
        }
        assert!(!read.iter().any(|path| path.ends_with("bundle.json")));
        fs::write(&told, "no").unwrap();
        assert!(Bundled::open(&told).unwrap_err().to_string().contains("bundle.json"));
    }

    #[test]
    fn a_module_that_does_not_export_its_kind_is_no_plugin() {
        let of = |exports: &str| -> Bundled {
            let text = format!(r#"{{"inputs":{{}},"outputs":{{"a.js":{{"exports":{exports}}}}}}}"#);
            serde_json::from_str(&text).unwrap()
        };
        let provider = of(r#"["lifecycle","plugin","provider"]"#);
        assert_eq!(provider.lacks("provider"), None);
        let said = provider.lacks("retriever").unwrap();
        assert!(
            said.contains("its module exports lifecycle, plugin, provider: end it with"),
            "{said}"
        );
        assert!(of("[]").lacks("provider").unwrap().contains("exports nothing"));
    }
}
