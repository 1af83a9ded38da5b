//! Python: componentize-py in a virtual environment of our own, or in a plain folder where Python has no `venv`. The guest
//! is CPython without WASI: every authority comes from the host. Native extension modules do not load, so none is looked
//! for.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    Job, Language, Made, Tooling, Tools, install,
    runner::{Real, Runner},
    wheel_tools::{self, Wheel},
};
use crate::{
    build::{BuildError, cargo::failed, sources},
    home::EncajeHome,
    limits::{PLUGIN_BUILD, QUESTION, TOOLS_INSTALL},
    process,
    progress::{Progress, Work},
};

/// What is installed.
const TOOL: Wheel = Wheel(include_str!("../../../tools/componentize-py.txt"));
/// The entry where the manifest names none.
const DEFAULT_ENTRY: &str = "app.py";
/// Part of the cache key: how the tool is called.
const OPTIONS: &str = "--stub-wasi";

/// The language.
pub(super) static PYTHON: Python<Real> = Python { runner: Real };

/// Python, by whatever runs its tools.
pub(super) struct Python<R> {
    runner: R,
}

impl<R: Runner> Language for Python<R> {
    fn name(&self) -> &'static str {
        "python"
    }

    fn sdk(&self) -> &'static [(&'static str, &'static str)] {
        SDK
    }

    fn look(&self, home: &EncajeHome) -> Tooling {
        Tooling::of(home, "python", TOOL.pins(), || {
            self.python(Path::new("/"))?;
            wheel_tools::look(&self.runner, &TOOL)
        })
    }

    fn ensure(&self, home: &EncajeHome, progress: &dyn Progress) -> Result<Tools, BuildError> {
        let folder = install::once(home, "python", TOOL.pins(), progress, |folder| {
            self.install(folder, progress)
        })?;
        Ok(Tools {
            folder,
            identity: format!("{} {OPTIONS}", TOOL.pin()),
        })
    }

    fn compile(&self, tools: &Tools, job: &Job<'_>, progress: &dyn Progress) -> Result<Made, BuildError> {
        let entry = job.entry_of(&[DEFAULT_ENTRY])?;
        let module = module(&entry).map_err(|reason| BuildError::NotAPlugin {
            path: job.folder.to_owned(),
            reason,
        })?;
        // CPython writes its compiled modules beside the sources.
        let copied = job.work.join("sources");
        sources::copy_folder(job.folder, &copied)?;
        let sources = copied.join(entry.parent().unwrap_or(Path::new("")));
        let made = job.work.join("plugin.wasm");
        let (program, libraries) = tool(&tools.folder);
        let mut command = process::clean(program, job.work);
        command
            .args(["-q", "-d"])
            .arg(job.wit)
            .args(["-w", job.world, "componentize"]);
        command.arg(OPTIONS).arg("-p").arg(sources).arg("-p").arg(job.sdk);
        command.arg("-o").arg(&made).arg(module);
        // Without one of these the tool asks the user's Python for packages, and the component would depend on the machine.
        command.env("VIRTUAL_ENV", tools.folder.join("venv"));
        command.envs(libraries.map(|path| ("PYTHONPATH", path)));
        let meter = progress.start(&format!("building plugin {} (Python)", job.name), Work::Open);
        let ended = self
            .runner
            .run(&mut command, PLUGIN_BUILD, Some(meter.as_ref()))
            .map_err(|error| BuildError::file("run componentize-py in", &tools.folder, error))?;
        if ended.succeeded() {
            // Of a copy of the folder, so nothing beside it was in reach.
            Ok(Made {
                component: made,
                read: Vec::new(),
            })
        } else {
            Err(failed(&job.what(), &ended))
        }
    }
}

/// The module that a file is, and whether it may be one.
fn module(entry: &Path) -> Result<&str, String> {
    let stem = entry.file_stem().and_then(OsStr::to_str).unwrap_or_default();
    let begins = stem.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let word = begins && stem.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !word || entry.extension() != Some(OsStr::new("py")) {
        return Err(format!(
            "its entry {:?} is no Python module: a name such as `app.py` is expected",
            entry.display()
        ));
    }
    if ["encaje_sdk", "wit_world"].contains(&stem) {
        return Err(format!(
            "its entry must not be called {stem}: a module of the build has that name"
        ));
    }
    Ok(stem)
}

/// The program in a tools folder, and where Python must look for its library.
fn tool(folder: &Path) -> (PathBuf, Option<PathBuf>) {
    let venv = folder.join("venv/bin/componentize-py");
    if venv.is_file() {
        return (venv, None);
    }
    let site = folder.join(wheel_tools::SITE);
    (site.join("bin/componentize-py"), Some(site))
}

impl<R: Runner> Python<R> {
    /// By `venv`, else by `pip --target`; the text names what both lacked.
    fn install(&self, folder: &Path, progress: &dyn Progress) -> Result<(), String> {
        let (python, pin) = (self.python(folder)?, TOOL.pin());
        let meter = progress.start(&format!("installing {pin} (30 MB, once)"), Work::Open);
        let run = |command: &mut Command| match self.runner.run(command, TOOLS_INSTALL, Some(meter.as_ref())) {
            Ok(ended) if ended.succeeded() => Ok(()),
            Ok(ended) => Err(ended.reason()),
            Err(error) => Err(error.to_string()),
        };
        let mut venv = process::clean(python, folder);
        venv.args(["-m", "venv", "venv"]);
        let without_venv = match run(&mut venv) {
            Ok(()) => {
                let mut pip = wheel_tools::pip_install(&folder.join("venv/bin/python"), &TOOL, folder)?;
                return run(&mut pip).map_err(|reason| format!("`pip install {pin}` failed: {reason}"));
            }
            Err(reason) => reason,
        };
        // Half an environment would be taken for a whole one.
        let _ = fs::remove_dir_all(folder.join("venv"));
        let mut pip = wheel_tools::pip_install(Path::new(python), &TOOL, folder)?;
        run(pip.args(["--target", wheel_tools::SITE])).map_err(|reason| {
            format!(
                "{pin} is needed. `{python} -m venv` failed: {without_venv}; `{python} -m pip install --target` failed: \
                 {reason}. Install Python's venv or pip (Debian: python3-venv or python3-pip) and build again"
            )
        })
    }

    /// The first Python on the PATH that is new enough for the tool.
    fn python(&self, folder: &Path) -> Result<&'static str, String> {
        let mut said = Vec::new();
        for program in ["python3", "python"] {
            let mut command = process::clean(program, folder);
            command.args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"]);
            match self.runner.run(&mut command, QUESTION, None) {
                Ok(ended) if ended.succeeded() && is_new_enough(&ended.stdout) => return Ok(program),
                Ok(ended) if ended.succeeded() => said.push(format!("{program} is {}", ended.stdout.trim())),
                Ok(ended) => said.push(format!("{program}: {}", ended.reason())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    said.push(format!("{program} is not on the PATH"));
                }
                Err(error) => said.push(format!("{program}: {error}")),
            }
        }
        let said = said.join(", ");
        Err(format!(
            "Python 3.10 or newer is needed ({said}). Install it (Debian: python3 and python3-venv) and build again"
        ))
    }
}

fn is_new_enough(version: &str) -> bool {
    let mut parts = version.trim().split('.').map(|part| part.parse::<u32>().ok());
    matches!((parts.next(), parts.next()), (Some(Some(3)), Some(Some(minor))) if minor >= 10)
}

/// sdk/python.
const SDK: &[(&str, &str)] = &[
    (
        "encaje_sdk/__init__.py",
        include_str!("../../../../../sdk/python/encaje_sdk/__init__.py"),
    ),
    (
        "encaje_sdk/evaluator.py",
        include_str!("../../../../../sdk/python/encaje_sdk/evaluator.py"),
    ),
    (
        "encaje_sdk/guard.py",
        include_str!("../../../../../sdk/python/encaje_sdk/guard.py"),
    ),
    (
        "encaje_sdk/host.py",
        include_str!("../../../../../sdk/python/encaje_sdk/host.py"),
    ),
    (
        "encaje_sdk/instrumentor.py",
        include_str!("../../../../../sdk/python/encaje_sdk/instrumentor.py"),
    ),
    (
        "encaje_sdk/parameters.py",
        include_str!("../../../../../sdk/python/encaje_sdk/parameters.py"),
    ),
    (
        "encaje_sdk/problem.py",
        include_str!("../../../../../sdk/python/encaje_sdk/problem.py"),
    ),
    (
        "encaje_sdk/provider.py",
        include_str!("../../../../../sdk/python/encaje_sdk/provider.py"),
    ),
    (
        "encaje_sdk/retry_after.py",
        include_str!("../../../../../sdk/python/encaje_sdk/retry_after.py"),
    ),
    (
        "encaje_sdk/sse.py",
        include_str!("../../../../../sdk/python/encaje_sdk/sse.py"),
    ),
    (
        "encaje_sdk/tally.py",
        include_str!("../../../../../sdk/python/encaje_sdk/tally.py"),
    ),
    (
        "encaje_sdk/values.py",
        include_str!("../../../../../sdk/python/encaje_sdk/values.py"),
    ),
];

#[cfg(test)]
mod tests;
