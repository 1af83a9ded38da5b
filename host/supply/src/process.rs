//! Runs other programs: with a time limit, a bounded memory of their output, and an environment of which every variable
//! was chosen. It does not interpret what they print.

use std::{
    collections::VecDeque,
    ffi::OsStr,
    io::{self, Read},
    path::Path,
    process::{Command, ExitStatus, Stdio},
    sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

use crate::{
    limits::{LOOK, NOTE_CHARACTERS, STDERR_KEPT, STDOUT_KEPT},
    progress::Meter,
};

/// How a program ended, and the last of what it printed.
#[derive(Debug)]
pub(crate) struct Ended {
    /// None: it was still running at the limit and was stopped.
    pub(crate) status: Option<ExitStatus>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn succeeded(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// One line for a list of what was tried: the last lines that the program wrote, or how it ended.
    pub(crate) fn reason(&self) -> String {
        let text = if self.stderr.trim().is_empty() {
            &self.stdout
        } else {
            &self.stderr
        };
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let errors: Vec<&str> = lines.iter().copied().filter(|line| is_error(line)).take(3).collect();
        let said = if errors.is_empty() {
            lines.last().copied().unwrap_or_default().to_owned()
        } else {
            errors.join("; ")
        };
        match self.status {
            None => format!("it did not end within the time limit ({said})"),
            Some(status) if said.is_empty() => format!("it ended with {status} and said nothing"),
            Some(_) => said,
        }
    }
}

fn is_error(line: &str) -> bool {
    let starts = ["error", "E: ", "ERROR", "fatal", "npm error ", "npm ERR! "];
    // npm says last of all where it keeps its log.
    starts.iter().any(|start| line.starts_with(start)) && !line.contains("A complete log of this run")
}

/// Runs `command` to its end or for `limit`. The meter's note follows the last line on stderr.
pub(crate) fn run(command: &mut Command, limit: Duration, meter: Option<&dyn Meter>) -> io::Result<Ended> {
    watch(command, limit, LOOK, meter)
}

/// [`run`], where a program that prints nothing is asked so often whether it has ended.
fn watch(command: &mut Command, limit: Duration, look: Duration, meter: Option<&dyn Meter>) -> io::Result<Ended> {
    let deadline = Instant::now() + limit;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (sender, receiver) = sync_channel(64);
    if let Some(stdout) = child.stdout.take() {
        forward(stdout, Stream::Out, sender.clone());
    }
    if let Some(stderr) = child.stderr.take() {
        forward(stderr, Stream::Err, sender.clone());
    }
    drop(sender);
    let (mut out, mut err) = (Tail::new(STDOUT_KEPT), Tail::new(STDERR_KEPT));
    let mut status = None;
    let mut timed_out = false;
    let mut open = true;
    // Ends when the program has ended and its pipes are closed or idle: a daemon that it left behind may hold them open.
    while !timed_out && (open || status.is_none()) {
        let left = deadline.saturating_duration_since(Instant::now());
        match receiver.recv_timeout(left.min(look)) {
            Ok((Stream::Out, piece)) => out.push(&piece),
            Ok((Stream::Err, piece)) => {
                err.push(&piece);
                if let Some(meter) = meter {
                    note(meter, &piece);
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                open = false;
                status = child.try_wait()?;
                if status.is_none() {
                    thread::sleep(Duration::from_millis(1));
                }
            }
            // It may have printed and ended just now: its pipes are idle when nothing came in a look after its end.
            Err(RecvTimeoutError::Timeout) if status.is_some() => open = false,
            Err(RecvTimeoutError::Timeout) => status = child.try_wait()?,
        }
        let is_late = Instant::now() >= deadline;
        if is_late && status.is_none() {
            // Whoever goes on printing in its place leaves no pause to look in.
            status = child.try_wait()?;
        }
        timed_out = status.is_none() && is_late;
        open = open && !is_late;
    }
    if timed_out {
        child.kill()?;
        child.wait()?;
    }
    Ok(Ended {
        status,
        stdout: out.text(),
        stderr: err.text(),
    })
}

#[derive(Clone, Copy)]
enum Stream {
    Out,
    Err,
}

/// A thread a pipe: it ends when the pipe closes, or when nobody listens any more.
fn forward(mut from: impl Read + Send + 'static, stream: Stream, to: SyncSender<(Stream, Vec<u8>)>) {
    thread::spawn(move || {
        let mut buffer = vec![0; 16 << 10];
        loop {
            match from.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => return,
                Ok(count) => {
                    let piece = buffer.get(..count).unwrap_or_default().to_vec();
                    if to.send((stream, piece)).is_err() {
                        return;
                    }
                }
            }
        }
    });
}

fn note(meter: &dyn Meter, piece: &[u8]) {
    let text = String::from_utf8_lossy(piece);
    if let Some(line) = text.lines().rev().map(str::trim).find(|line| !line.is_empty()) {
        meter.note(&line.chars().take(NOTE_CHARACTERS).collect::<String>());
    }
}

/// The last bytes of a stream.
struct Tail {
    bytes: VecDeque<u8>,
    most: usize,
}

impl Tail {
    fn new(most: usize) -> Self {
        Self {
            bytes: VecDeque::new(),
            most,
        }
    }

    fn push(&mut self, piece: &[u8]) {
        self.bytes.extend(piece);
        let surplus = self.bytes.len().saturating_sub(self.most);
        self.bytes.drain(..surplus);
    }

    fn text(mut self) -> String {
        String::from_utf8_lossy(self.bytes.make_contiguous()).into_owned()
    }
}

/// A command in `folder` with the clean environment: what a build needs from the user's settings and nothing of an outer
/// cargo. `program` is found on the PATH.
pub(crate) fn clean(program: impl AsRef<OsStr>, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).env_clear();
    command.envs(std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_kept)));
    command
}

/// Whether a variable of ours reaches a build. Tokens do not: a build script is foreign code.
fn is_kept(name: &str) -> bool {
    const NAMES: [&str; 16] = [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "LC_ALL",
        "TMPDIR",
        "CARGO_HOME",
        "RUSTUP_HOME",
        "RUSTUP_TOOLCHAIN",
        "RUSTUP_DIST_SERVER",
        "RUSTUP_UPDATE_ROOT",
        "RUSTUP_AUTO_INSTALL",
        "CARGO_REGISTRY_DEFAULT",
        "CURL_CA_BUNDLE",
    ];
    const STARTS: [&str; 5] = [
        "CARGO_REGISTRIES_",
        "CARGO_SOURCE_",
        "CARGO_HTTP_",
        "CARGO_NET_",
        "SSL_CERT_",
    ];
    const PROXIES: [&str; 4] = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"];
    let secret = name.ends_with("_TOKEN") || name.ends_with("_CREDENTIAL_PROVIDER");
    !secret
        && (NAMES.contains(&name)
            || STARTS.iter().any(|start| name.starts_with(start))
            || PROXIES.iter().any(|proxy| name.eq_ignore_ascii_case(proxy)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Ended {
        run(Command::new("sh").args(["-c", script]), limit, None).unwrap()
    }

    #[test]
    fn an_outer_cargo_does_not_reach_the_inner_one() {
        for name in [
            "RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_TARGET_DIR",
            "RUSTC",
            "RUSTC_WRAPPER",
            "CARGO_BUILD_TARGET",
            "CARGO_PKG_NAME",
            "LD_LIBRARY_PATH",
            "CARGO_REGISTRY_TOKEN",
            "CARGO_REGISTRIES_MINE_TOKEN",
            "OPENAI_API_KEY",
        ] {
            assert!(!is_kept(name), "{name}");
        }
        for name in [
            "PATH",
            "CARGO_HOME",
            "RUSTUP_TOOLCHAIN",
            "HTTPS_PROXY",
            "no_proxy",
            "CARGO_REGISTRIES_MINE_INDEX",
            "SSL_CERT_FILE",
            "CARGO_HTTP_CAINFO",
        ] {
            assert!(is_kept(name), "{name}");
        }
    }

    #[test]
    fn output_and_status_come_back() {
        let ended = shell("echo out; echo 'error: bad' >&2; exit 3", Duration::from_secs(20));
        assert_eq!((ended.stdout.trim(), ended.stderr.trim()), ("out", "error: bad"));
        assert!(!ended.succeeded());
        assert_eq!(ended.reason(), "error: bad");
    }

    #[test]
    fn the_reason_is_what_went_wrong_and_not_where_the_log_is() {
        let npm = "echo 'npm error code EINTEGRITY' >&2; echo 'npm error' >&2; \
                   echo 'npm error wanted sha512-a but got sha512-b' >&2; \
                   echo 'npm error A complete log of this run can be found in: /log' >&2; exit 1";
        assert_eq!(
            shell(npm, Duration::from_secs(10)).reason(),
            "npm error code EINTEGRITY; npm error wanted sha512-a but got sha512-b"
        );
    }

    #[test]
    fn a_program_that_hangs_is_stopped_even_when_its_child_holds_the_pipe() {
        let began = Instant::now();
        let ended = shell("sleep 30 & echo before; wait", Duration::from_millis(300));
        assert!(ended.status.is_none());
        assert!(ended.reason().contains("time limit"));
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }

    #[test]
    fn what_comes_just_after_the_end_is_not_lost() {
        let look = Duration::from_secs(2);
        let mut late = Command::new("sh");
        late.args(["-c", "(sleep 2.7; echo late) & exit 0"]);
        let ended = watch(&mut late, Duration::from_secs(20), look, None).unwrap();
        assert!(ended.succeeded());
        assert_eq!(ended.stdout, "late\n");
    }

    #[test]
    fn a_child_that_goes_on_printing_does_not_outlast_the_limit() {
        let began = Instant::now();
        let talk = "(sleep 0.4; for i in $(seq 300); do echo x; sleep 0.1; done) & exit 0";
        assert!(shell(talk, Duration::from_secs(1)).succeeded());
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }

    #[test]
    fn a_program_that_prints_without_end_costs_bounded_memory() {
        let ended = shell(
            "head -c 20000000 /dev/zero | tr '\\0' x; echo; echo last",
            Duration::from_secs(60),
        );
        assert!(ended.succeeded());
        assert_eq!(ended.stdout.len(), STDOUT_KEPT);
        assert!(ended.stdout.ends_with("last\n"));
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let error = run(&mut Command::new("no-such-program-here"), Duration::from_secs(1), None).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
