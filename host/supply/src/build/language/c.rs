//! C: clang as Zig brings it, from a wheel, with its own libc for WASI: one tool that needs no root on any system. The
//! plugin is every `.c` file beside its entry; SDK and bindings are compiled with it.

use std::{
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
const COMPILER: Wheel = Wheel(include_str!("../../../tools/ziglang.txt"));
/// How the compiler is called. A reactor has no `main`; names of functions are kept out, they are a third of the file.
const OPTIONS: [&str; 9] = [
    "cc",
    "--target=wasm32-wasi",
    "-mexec-model=reactor",
    "-std=c17",
    "-O2",
    "-ffunction-sections",
    "-fdata-sections",
    "-Wl,--gc-sections",
    "-Wl,--strip-all",
];

/// The language.
pub(super) static C: Clang<Real> = Clang { runner: Real };

/// C, by whatever runs its tools.
pub(super) struct Clang<R> {
    runner: R,
}

impl<R: Runner> Language for Clang<R> {
    fn name(&self) -> &'static str {
        "c"
    }

    fn sdk(&self) -> &'static [(&'static str, &'static str)] {
        SDK
    }

    fn look(&self, home: &EncajeHome) -> Tooling {
        Tooling::of(home, "c", COMPILER.pins(), || {
            wheel_tools::look(&self.runner, &COMPILER)
        })
    }

    fn ensure(&self, home: &EncajeHome, progress: &dyn Progress) -> Result<Tools, BuildError> {
        let folder = install::once(home, "c", COMPILER.pins(), progress, |folder| {
            wheel_tools::install(&self.runner, &COMPILER, "100 MB", folder, progress)
        })?;
        Ok(Tools {
            folder,
            identity: format!("{} {} {}", COMPILER.pin(), OPTIONS.join(" "), contract::TOOLS),
        })
    }

    fn compile(&self, tools: &Tools, job: &Job<'_>, progress: &dyn Progress) -> Result<Made, BuildError> {
        let entry = job.entry_of(&["plugin.c"])?;
        let sources = job.folder.join(entry.parent().unwrap_or(Path::new("")));
        let mut contract = Contract::open(job)?;
        let bindings = job.work.join("bindings");
        contract.bindings(generator().build().as_mut(), &bindings, str::to_owned)?;
        let (core, made) = (job.work.join("core.wasm"), job.work.join("plugin.wasm"));
        let of_kind = job.sdk.join(job.kind);
        // In the plugin's folder, so that messages name its files as the author does.
        let own = c_files(&sources)?;
        let compiler = |options: &[&str]| {
            let mut command = process::clean(tools.folder.join(wheel_tools::SITE).join("ziglang/zig"), &sources);
            command.args(options).args(["-Wall", "-Wextra"]);
            for folder in [&sources, job.sdk, &of_kind, &bindings] {
                command.arg("-I").arg(folder);
            }
            command.env("ZIG_GLOBAL_CACHE_DIR", tools.folder.join("cache"));
            command.env("ZIG_LOCAL_CACHE_DIR", job.work.join("cache"));
            command.args(own.iter().filter_map(|path| path.file_name()));
            command
        };
        let mut command = compiler(&OPTIONS);
        for folder in [job.sdk, &of_kind, &bindings] {
            command.args(c_files(folder)?);
        }
        command.arg("-o").arg(&core);
        let meter = progress.start(&format!("building plugin {} (C)", job.name), Work::Open);
        let run = |command: &mut Command| -> Result<Ended, BuildError> {
            let ended = self
                .runner
                .run(command, PLUGIN_BUILD, Some(meter.as_ref()))
                .map_err(|error| BuildError::file("run zig cc in", &sources, error))?;
            well(&job.what(), ended)
        };
        run(&mut command)?;
        // The headers that were read, those of the system left out. No option of a compilation of several files gives them.
        let to_read: Vec<&str> = OPTIONS.into_iter().filter(|option| !is_of_linker(option)).collect();
        // The compiler knows its own headers only where it compiles; one that it does not find all the same counts as absent.
        let mut reader = compiler(&to_read);
        for headers in ["include", "libc/include/wasm-wasi-musl", "libc/include/generic-musl"] {
            let lib = tools.folder.join(wheel_tools::SITE).join("ziglang/lib");
            reader.arg("-isystem").arg(lib.join(headers));
        }
        let read = run(reader.args(["-MM", "-MG"]))?.stdout;
        contract.component(&core, &made)?;
        Ok(Made {
            component: made,
            read: prerequisites(&read).map(|name| sources.join(name)).collect(),
        })
    }
}

/// What a compiler that only reads refuses or warns of.
fn is_of_linker(option: &str) -> bool {
    option.starts_with("-Wl,") || option.starts_with("-mexec-model")
}

/// The files behind the colons of rules as a compiler writes them for make: `a.o: a.c b\ c.h \`, and on from there.
fn prerequisites(rules: &str) -> impl Iterator<Item = String> {
    let joined = rules.replace("\\\n", " ");
    let of_line = |line: &str| -> Vec<String> {
        // A blank within a name is escaped, and a dollar is doubled.
        let text = line.replace("\\ ", "\0").replace("$$", "$").replace("\\#", "#");
        let names = text.split_whitespace().skip(1);
        names.map(|name| name.replace('\0', " ")).collect()
    };
    let names: Vec<String> = joined.lines().flat_map(of_line).collect();
    names.into_iter()
}

/// The contracts go into the module by other ways than an object file of the generator's.
fn generator() -> wit_bindgen_c::Opts {
    wit_bindgen_c::Opts {
        no_object_file: true,
        ..wit_bindgen_c::Opts::default()
    }
}

/// The C sources of a folder, in the order of their names; none where there is no folder.
fn c_files(folder: &Path) -> Result<Vec<PathBuf>, BuildError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).map_err(|error| BuildError::file("list", folder, error))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "c") && path.is_file())
        .collect();
    files.sort();
    Ok(files)
}

macro_rules! sdk {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("../../../../../sdk/c/", $name)))),*] };
}

/// sdk/c, without its tests.
const SDK: &[(&str, &str)] = sdk![
    "encaje.h",
    "encaje.c",
    "encaje_json.h",
    "encaje_json.c",
    "encaje_stream.h",
    "encaje_stream.c",
    "encaje_text.h",
    "encaje_text.c",
    "evaluator/encaje_evaluator.h",
    "evaluator/encaje_evaluator.c",
    "provider/encaje_provider.h",
    "provider/encaje_provider.c",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        build::language::{
            lay_out_sdk,
            runner::fake::{Fake, ended},
        },
        build::wit,
        progress::Quiet,
    };

    #[test]
    fn the_compiler_gets_the_plugins_files_the_sdk_of_its_kind_and_the_bindings() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        for name in ["plugin/tests", "work"] {
            fs::create_dir_all(place(name)).unwrap();
        }
        for name in ["plugin.c", "more.c", "tests/test.c"] {
            fs::write(place("plugin").join(name), "").unwrap();
        }
        wit::lay_out("provider", &place("wit")).unwrap();
        let (plugin, wit_folder, sdk, work) = (place("plugin"), place("wit"), place("sdk"), place("work"));
        let clang = Clang {
            runner: Fake::new(|_| Ok(ended(1, "", "plugin.c:1: error: what is this?"))),
        };
        lay_out_sdk(&clang, &sdk).unwrap();
        let job = Job {
            name: "x",
            folder: &plugin,
            entry: None,
            kind: "provider",
            wit: &wit_folder,
            world: "encaje:provider/plugin@0.1.0",
            sdk: &sdk,
            work: &work,
        };
        let tools = Tools {
            folder: place("tools"),
            identity: String::new(),
        };
        let error = clang.compile(&tools, &job, &Quiet).unwrap_err().to_string();
        assert!(
            error.contains("the build of x failed") && error.contains("what is this?"),
            "{error}"
        );
        let line = clang.runner.said().remove(0);
        assert!(line.contains(" more.c plugin.c /"), "{line}");
        for wanted in [
            "sdk/encaje_json.c",
            "sdk/provider/encaje_provider.c",
            "bindings/plugin.c",
        ] {
            assert!(line.contains(wanted), "{wanted}: {line}");
        }
        assert!(
            !line.contains("test.c") && !line.contains("encaje_evaluator.c"),
            "{line}"
        );
    }

    #[test]
    fn the_rules_of_a_compiler_name_the_files_that_it_read() {
        let rules = "a.o: a.c ../shared/z.h \\\n  with\\ blank.h\nb.o: b.c price$$.h\n";
        let names: Vec<String> = prerequisites(rules).collect();
        assert_eq!(names, ["a.c", "../shared/z.h", "with blank.h", "b.c", "price$.h"]);
    }
}
