//! How long a server with ten plugins takes from its first instruction to `/ready`, with compiled code in the cache and no
//! models: the process is started anew each time, over the same data.
//!
//! The first start builds and compiles what was never built here, and is not counted. The bench starts itself again as the
//! `encaje` command line, so that it measures the release build that it is part of.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a bench that fails should say where"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use encaje_cli::args::{Args, Parser};

/// Set in the child: its command line, one argument a line.
const CHILD: &str = "BENCH_CHILD_COMMAND_LINE";
/// Starts that are counted.
const ROUNDS: usize = 21;
/// The median may be so long.
const BAR: Duration = Duration::from_millis(300);

/// Plugins by name: kind, folder, and what else their table holds.
const PLUGINS: [(&str, &str, &str, &str); 10] = [
    ("stub", "provider", "plugins/provider-stub", ""),
    (
        "second",
        "provider",
        "plugins/provider-stub",
        "config = { dimensions = 8 }",
    ),
    (
        "upstream",
        "provider",
        "plugins/provider-openai",
        "config = { base_url = \"http://127.0.0.1:9/v1\", secret = \"\" }\nallow = { http = [\"127.0.0.1:9\"] }",
    ),
    (
        "older",
        "provider",
        "tests/fixtures/previous-provider",
        "allow = { kv = true }",
    ),
    (
        "store",
        "storage",
        "plugins/storage-sqlite",
        "allow = { sql = [\"main\"] }",
    ),
    ("exact", "evaluator", "plugins/evaluator-exact", ""),
    (
        "guard",
        "instrumentor",
        "plugins/instrumentor-guard",
        "config = { keywords = [\"kraken\"] }",
    ),
    (
        "flags",
        "instrumentor",
        "plugins/instrumentor-guard",
        "config = { keywords = [\"sea\"], action = \"flag\" }",
    ),
    (
        "memory",
        "retriever",
        "plugins/retriever-memory",
        "allow = { kv = true }",
    ),
    (
        "texts",
        "source",
        "plugins/source-text",
        "allow = { http = [\"127.0.0.1:9\"] }",
    ),
];

fn registry() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().display();
    let mut text = "[server]\nstorage = \"store\"\n\n[databases.main]\nsqlite = \"main.db\"\n".to_owned();
    for (name, kind, folder, rest) in PLUGINS {
        text += &format!("\n[plugins.{name}]\nkind = \"{kind}\"\nsource = {{ path = \"{root}/{folder}\" }}\n{rest}\n");
    }
    text + "\n[routes.\"*\"]\nto = [{ plugin = \"stub\" }, { plugin = \"second\" }, { plugin = \"upstream\" }, { plugin = \"older\" }]\n"
}

/// A server, and where it says that it listens.
fn start(folder: &Path) -> (Child, String) {
    let (registry, data) = (folder.join("registry.toml"), folder.join("data"));
    let (registry, data) = (registry.display().to_string(), data.display().to_string());
    let line = [
        "--registry",
        &registry,
        "--data",
        &data,
        "serve",
        "--listen",
        "127.0.0.1:0",
    ];
    let mut child = Command::new(std::env::current_exe().unwrap())
        .env(CHILD, line.join("\n"))
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let address = lines.find_map(|line| Some(line.strip_prefix("encaje serves on http://")?.to_owned()));
    let Some(address) = address else {
        panic!("the server did not start: {}", child.wait().unwrap());
    };
    (child, address)
}

fn is_ready(address: &str) -> bool {
    let mut answer = String::new();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET /ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    stream.read_to_string(&mut answer).unwrap();
    answer.starts_with("HTTP/1.1 200")
}

fn round(folder: &Path) -> Duration {
    let begin = Instant::now();
    let (mut child, address) = start(folder);
    while !is_ready(&address) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let took = begin.elapsed();
    child.kill().unwrap();
    child.wait().unwrap();
    took
}

fn main() {
    if let Ok(line) = std::env::var(CHILD) {
        encaje_cli::run(Args::parse_from(std::iter::once("encaje").chain(line.lines()))).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("registry.toml"), registry()).unwrap();
    round(folder.path());
    // `cargo test --benches` runs everything once, to see that it runs.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let mut rounds: Vec<_> = (0..ROUNDS).map(|_| round(folder.path())).collect();
    rounds.sort();
    let ms = |at: usize| rounds.get(at).unwrap().as_secs_f64() * 1e3;
    println!(
        "cold start, {} plugins from the cache: median {:.0} ms, fastest {:.0}, slowest {:.0} (bar {})",
        PLUGINS.len(),
        ms(ROUNDS / 2),
        ms(0),
        ms(ROUNDS - 1),
        BAR.as_millis()
    );
}
