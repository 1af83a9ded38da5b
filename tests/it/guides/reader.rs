//! Someone who follows a guide to the letter, in a folder of their own: runs its commands with `bash -eu`, writes its
//! files, compares what is printed, and at the end stops what still runs. What the blocks mean is in [`super::page`].

use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use encaje_cli::args::{Args, Parser};

use super::page::{self, Action, Step};
use crate::support::{home, root};

/// Arguments of the `encaje` that the guides call, each with [`PART`] behind it.
const COMMAND_LINE: &str = "GUIDE_COMMAND_LINE";
const PART: char = '\u{1f}';

/// Where the guides serve; each reader has another port.
const ADDRESS: &str = "127.0.0.1:8080";

/// One block. The first build of all compiles what all plugins stand on, beside the other tests.
const BLOCK: Duration = Duration::from_secs(900);

/// What a server gets to end; a process that nobody waits for looks alive for ever.
const END: Duration = Duration::from_secs(3);

/// Not a test of anything: the `encaje` of a guide. Passes at once where it is not that.
///
/// The test harness around it prints too; so the wrapper gives the true standard output as number 3.
#[test]
fn command_line_of_a_guide() {
    let Ok(line) = std::env::var(COMMAND_LINE) else {
        return;
    };
    // SAFETY: both take numbers and touch no memory of ours; nobody has the third descriptor but the wrapper.
    unsafe {
        assert_eq!(libc::dup2(3, 1), 1);
        libc::close(3);
    }
    let arguments = line.split_terminator(PART);
    let ended = match Args::try_parse_from(std::iter::once("encaje").chain(arguments)) {
        Ok(args) => encaje_cli::start(args),
        Err(refused) => refused.exit(),
    };
    std::process::exit(i32::from(ended != ExitCode::SUCCESS));
}

/// A reader; drops its folder and ends its servers when it is done.
pub struct Reader {
    folder: tempfile::TempDir,
    address: String,
    /// Process groups that outlived the block which began them.
    running: Vec<libc::pid_t>,
    printed: String,
}

impl Reader {
    /// A folder with a checkout called `encaje` in it, and `encaje` on the path.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        symlink(root(), folder.path().join("encaje")).unwrap();
        let bin = folder.path().join(".bin");
        std::fs::create_dir(&bin).unwrap();
        let wrapper = format!(
            "#!/bin/sh\n{COMMAND_LINE}=$(printf '%s\\037' \"$@\")\n[ $# -gt 0 ] || {COMMAND_LINE}=\nexport {COMMAND_LINE}\n\
             exec '{}' --exact guides::reader::command_line_of_a_guide --nocapture --quiet --test-threads 1 3>&1 >/dev/null\n",
            std::env::current_exe().unwrap().display()
        );
        let mut options = std::fs::File::options();
        let mut file = options
            .create_new(true)
            .write(true)
            .mode(0o755)
            .open(bin.join("encaje"))
            .unwrap();
        std::io::Write::write_all(&mut file, wrapper.as_bytes()).unwrap();
        Self {
            address: format!("127.0.0.1:{}", free_port()),
            folder,
            running: Vec::new(),
            printed: String::new(),
        }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Does all that a page asks for, or says where it does not go as the page says.
    pub fn follow(&mut self, page: &str) -> Result<(), String> {
        for Step { line, action } in page::steps(page)? {
            self.take(action).map_err(|wrong| format!("line {line}: {wrong}"))?;
        }
        Ok(())
    }

    fn take(&mut self, action: Action) -> Result<(), String> {
        let here = |text: String| text.replace(ADDRESS, &self.address);
        match action {
            Action::Run(script) => {
                let script = here(script);
                self.run(&script)
            }
            Action::Expect(text) => {
                let text = here(text);
                let message = || format!("expected\n{text}\nbut it printed\n{}{}", self.printed, self.log());
                page::fits(&text, &self.printed).then_some(()).ok_or_else(message)
            }
            Action::Write(path, text) => self.write(&path, &here(text)),
            Action::Change(path, diff) => {
                let text = page::changed(&self.read(&path)?, &here(diff))?;
                self.write(&path, &text)
            }
            Action::Add(path, text) => {
                let text = format!("{}\n{}", self.read(&path)?, here(text));
                self.write(&path, &text)
            }
        }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn read(&self, path: &str) -> Result<String, String> {
        std::fs::read_to_string(self.path(path)).map_err(|error| format!("{path}: {error}"))
    }

    fn write(&self, path: &str, text: &str) -> Result<(), String> {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// What a server has logged, where the guide keeps it.
    fn log(&self) -> String {
        self.read("serve.log")
            .map_or_else(|_| String::new(), |log| format!("\nserve.log:\n{log}"))
    }

    fn run(&mut self, script: &str) -> Result<(), String> {
        // Files, not pipes: a server in the background would hold a pipe open.
        let (out, err) = (self.path(".out"), self.path(".err"));
        let file = |path: &Path| std::fs::File::create(path).unwrap();
        let own = format!("{}:{}", self.path(".bin").display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("bash")
            .args(["-eu", "-o", "pipefail", "-c", script])
            .current_dir(self.folder.path())
            .env("PATH", own)
            .env("ENCAJE_LISTEN", &self.address)
            .env("ENCAJE_HOME", home().root())
            // What plugins that stand alone are compiled into, so that the SDK is compiled once for all guides.
            .env("CARGO_TARGET_DIR", home().build().join("target/alone-native"))
            .env_remove("ENCAJE_DATA")
            .env_remove("ENCAJE_REGISTRY")
            .stdin(std::process::Stdio::null())
            .stdout(file(&out))
            .stderr(file(&err))
            .process_group(0)
            .spawn()
            .unwrap();
        let group = libc::pid_t::try_from(shell.id()).unwrap();
        let begun = Instant::now();
        let status = loop {
            match shell.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if begun.elapsed() > BLOCK => break None,
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        if alive(group) {
            self.running.push(group);
        }
        let text = |path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
        self.printed = text(&out);
        let how = match status {
            Some(status) if status.success() => return Ok(()),
            Some(status) => status.to_string(),
            None => format!("it took more than {} s", BLOCK.as_secs()),
        };
        Err(format!("{how}\n{script}\n{}{}{}", self.printed, text(&err), self.log()))
    }
}

/// A port that is free now and stays it until the guide serves, minutes later: below those that the system gives to
/// whoever asks for any.
fn free_port() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let turn = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 20_000 + (std::process::id().wrapping_mul(97).wrapping_add(turn)) % 10_000;
        if std::net::TcpListener::bind(format!("127.0.0.1:{port}")).is_ok() {
            return port;
        }
    }
}

fn signal(group: libc::pid_t, number: libc::c_int) -> bool {
    // SAFETY: `kill` takes two numbers and touches no memory of ours.
    unsafe { libc::kill(-group, number) == 0 }
}

fn alive(group: libc::pid_t) -> bool {
    signal(group, 0)
}

impl Drop for Reader {
    fn drop(&mut self) {
        for group in &self.running {
            signal(*group, libc::SIGTERM);
            let asked = Instant::now();
            while alive(*group) && asked.elapsed() < END {
                std::thread::sleep(Duration::from_millis(20));
            }
            signal(*group, libc::SIGKILL);
        }
    }
}
