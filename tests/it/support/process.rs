//! A server in a process of its own, so that it can be killed.
//!
//! The test binary starts itself again with [`CHILD`] set, and that copy runs the `encaje` command line; so no test
//! depends on another package's binary having been built.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use encaje_cli::args::{Args, Parser};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;

/// Set in the child: its command line, one argument a line.
const CHILD: &str = "TEST_CHILD_COMMAND_LINE";

/// Compiling the plugins for the first time takes minutes on a slow machine.
const START: Duration = Duration::from_secs(600);

/// Not a test of anything: what the child of [`ServerProcess`] runs. Passes at once where it is not the child.
#[test]
fn command_line_of_a_child() {
    if let Ok(text) = std::env::var(CHILD) {
        tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .with_ansi(false)
            .init();
        encaje_cli::run(Args::parse_from(std::iter::once("encaje").chain(text.lines()))).unwrap();
    }
}

/// What a command of the command line did.
#[derive(Debug)]
pub struct Did {
    pub well: bool,
    /// Output, then errors.
    pub said: String,
}

/// Runs a command beside the server of a folder, with this input.
pub fn command(folder: &Path, arguments: &[&str], input: &str) -> Did {
    command_with(folder, arguments, input, &[])
}

/// The same, in an environment that has these as well.
pub fn command_with(folder: &Path, arguments: &[&str], input: &str, environment: &[(&str, &str)]) -> Did {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "support::process::command_line_of_a_child", "--nocapture"])
        .env(CHILD, line_beside(folder, arguments))
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Did {
        well: output.status.success(),
        said: text(&output.stdout) + &text(&output.stderr),
    }
}

/// A command that goes on until it is dropped, beside the server of a folder.
pub struct Background {
    child: Child,
    said: PathBuf,
}

impl Background {
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        let said = folder.join("said");
        let file = std::fs::File::create(&said).unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "support::process::command_line_of_a_child", "--nocapture"])
            .env(CHILD, line_beside(folder, arguments))
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Self { child, said }
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command line of a child that looks at a folder's registry and data.
fn line_beside(folder: &Path, arguments: &[&str]) -> String {
    let (registry, data) = (folder.join("registry.toml"), folder.join("data"));
    let (registry, data) = (registry.display().to_string(), data.display().to_string());
    let own = ["--registry", &registry, "--data", &data];
    [&own, arguments].concat().join("\n")
}

/// A running server over a folder with its registry and its data.
pub struct ServerProcess {
    child: Child,
    folder: PathBuf,
    address: SocketAddr,
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub trace: Option<String>,
    pub body: String,
}

impl ServerProcess {
    /// Starts a server whose registry is this text, in a folder that outlives it. `extra` goes on its command line.
    pub fn start(folder: &Path, registry: &str, extra: &[&str]) -> Self {
        std::fs::write(folder.join("registry.toml"), registry).unwrap();
        Self::restart(folder, extra)
    }

    /// Starts a server over a folder that had one.
    pub fn restart(folder: &Path, extra: &[&str]) -> Self {
        let (registry, data) = (folder.join("registry.toml"), folder.join("data"));
        let mut line = vec![
            "--registry".to_owned(),
            registry.display().to_string(),
            "--data".to_owned(),
            data.display().to_string(),
            "serve".to_owned(),
            "--listen".to_owned(),
            "127.0.0.1:0".to_owned(),
        ];
        line.extend(extra.iter().map(|argument| (*argument).to_owned()));
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(folder.join("log"))
            .unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "support::process::command_line_of_a_child", "--nocapture"])
            .env(CHILD, line.join("\n"))
            .env("ENCAJE_LOG", "info")
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let address = greeting(&mut child, folder);
        Self {
            child,
            folder: folder.to_owned(),
            address,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where its registry lies.
    pub fn registry(&self) -> PathBuf {
        self.folder.join("registry.toml")
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap()
    }

    /// Ends it as a crash would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, and waits until it has drained.
    pub fn stop(mut self) {
        // SAFETY: `kill` takes two numbers and touches no memory of ours.
        unsafe { libc::kill(libc::pid_t::try_from(self.child.id()).unwrap(), libc::SIGTERM) };
        assert!(self.child.wait().unwrap().success(), "{}", self.log());
    }

    /// A connection of its own.
    pub async fn connect(&self) -> Option<SendRequest<Full<Bytes>>> {
        connect(self.address).await
    }

    /// One request on a connection of its own.
    pub async fn ask(&self, method: Method, path: &str, body: &str) -> Answer {
        let mut connection = self.connect().await.unwrap();
        send(&mut connection, method, path, body).await.unwrap()
    }

    /// One chat, not streamed.
    pub async fn chat(&self, model: &str, text: &str) -> Answer {
        self.ask(Method::POST, "/v1/chat/completions", &chat_body(model, text, false))
            .await
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The body of a chat.
pub fn chat_body(model: &str, text: &str, stream: bool) -> String {
    serde_json::json!({
        "model": model, "stream": stream, "messages": [{ "role": "user", "content": text }],
    })
    .to_string()
}

/// A connection, or nothing where nobody listens any more.
pub async fn connect(address: SocketAddr) -> Option<SendRequest<Full<Bytes>>> {
    let stream = tokio::net::TcpStream::connect(address).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    Some(sender)
}

/// One request; nothing where the answer did not come to its end.
pub async fn send(connection: &mut SendRequest<Full<Bytes>>, method: Method, path: &str, body: &str) -> Option<Answer> {
    connection.ready().await.ok()?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "127.0.0.1")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap();
    let response = connection.send_request(request).await.ok()?;
    let status = response.status().as_u16();
    let trace = response
        .headers()
        .get("x-encaje-trace")
        .map(|id| id.to_str().unwrap().to_owned());
    let body = String::from_utf8(response.into_body().collect().await.ok()?.to_bytes().to_vec()).unwrap();
    Some(Answer { status, trace, body })
}

/// Reads the child's output until it says where it serves, and keeps its pipe empty from then on.
fn greeting(child: &mut Child, folder: &Path) -> SocketAddr {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (found, greeted) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if let Some(address) = line.strip_prefix("encaje serves on http://") {
                // Nobody listens any more where it took too long.
                let _ = found.send(address.parse().unwrap());
            }
        }
    });
    greeted.recv_timeout(START).unwrap_or_else(|error| {
        let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        panic!("the server did not start: {error}\n{log}")
    })
}
