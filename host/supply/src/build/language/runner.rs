//! How a language runs its tools, so that tests of the decisions put a fake there. The real one is [`crate::process`].

use std::{io, process::Command, time::Duration};

use crate::{
    process::{self, Ended},
    progress::Meter,
};

/// Runs programs.
pub(crate) trait Runner: Sync {
    /// Runs the command to its end or for `limit`.
    fn run(&self, command: &mut Command, limit: Duration, meter: Option<&dyn Meter>) -> io::Result<Ended>;
}

/// Runs them for real.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Real;

impl Runner for Real {
    fn run(&self, command: &mut Command, limit: Duration, meter: Option<&dyn Meter>) -> io::Result<Ended> {
        process::run(command, limit, meter)
    }
}

/// Answers of a tool that was not run.
#[cfg(test)]
pub(crate) mod fake {
    use std::{os::unix::process::ExitStatusExt, process::ExitStatus, sync::Mutex};

    use super::*;

    type Answer = Box<dyn Fn(&Command) -> io::Result<Ended> + Send + Sync>;

    /// Keeps what it was asked to run, as one line each, and answers as it is told.
    pub(crate) struct Fake {
        pub(crate) lines: Mutex<Vec<String>>,
        answer: Answer,
    }

    impl Fake {
        pub(crate) fn new(answer: impl Fn(&Command) -> io::Result<Ended> + Send + Sync + 'static) -> Self {
            Self {
                lines: Mutex::new(Vec::new()),
                answer: Box::new(answer),
            }
        }

        pub(crate) fn said(&self) -> Vec<String> {
            self.lines.lock().unwrap().clone()
        }
    }

    impl Runner for Fake {
        fn run(&self, command: &mut Command, _: Duration, _: Option<&dyn Meter>) -> io::Result<Ended> {
            let words = std::iter::once(command.get_program()).chain(command.get_args());
            let line: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
            self.lines.lock().unwrap().push(line.join(" "));
            (self.answer)(command)
        }
    }

    /// An end with this status and these words.
    pub(crate) fn ended(code: i32, stdout: &str, stderr: &str) -> Ended {
        Ended {
            status: Some(ExitStatus::from_raw(code << 8)),
            stdout: stdout.to_owned(),
            stderr: stderr.to_owned(),
        }
    }

    /// A program that is not there.
    pub(crate) fn absent() -> io::Result<Ended> {
        Err(io::Error::from(io::ErrorKind::NotFound))
    }
}
