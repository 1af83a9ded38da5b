//! Files that an edit of the registry brings in and that are no plugins, or bad ones: none of them is taken over, the log and
//! the native API say why, and the generation before goes on serving.

use std::path::Path;
use std::time::Duration;

use hyper::Method;
use serde_json::Value;

use crate::support::assembled::Assembled;
use crate::support::{ServerProcess, registry};

/// What every component here carries, but for what is wrong with it.
const MANIFEST: &str = r#"
name = "bad"
version = "0.1.0"
kind = "provider"
publisher = "nobody"
license = "MIT"
description = "Comes with an edit"
wit = "0.1"
"#;

/// More than any manifest may have.
const HUGE: usize = 300 << 10;

/// How deep what should be flat is nested; a parser that follows it runs out of stack long before.
const DEEP: usize = 50_000;

/// Bytes of an explanation: some dozens of errors with their lines, however bad the file is.
const MOST_SAID: usize = 64 << 10;

fn unsigned(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// A component with whatever stands in the section of its manifest.
fn with_section(component: &[u8], manifest: &[u8]) -> Vec<u8> {
    let name = b"encaje:manifest";
    let mut section = unsigned(name.len());
    section.extend(name);
    section.extend(manifest);
    [component, &[0], &unsigned(section.len()), &section].concat()
}

/// A text that is compiled as it stands.
fn text(wat: &str) -> Vec<u8> {
    wat::parse_str(wat).unwrap()
}

/// A manifest with more lines behind those that every one has.
fn and(more: &str) -> Vec<u8> {
    format!("{MANIFEST}{more}").into_bytes()
}

/// Files, and what is said of each.
fn files() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let good = Assembled::default().component();
    let manifested = |text: &[u8]| with_section(&good, text);
    let spins = Assembled {
        check: "(loop $again (br $again)) unreachable".to_owned(),
        ..Assembled::default()
    };
    let starts = Assembled {
        also: "(func $spin (loop $again (br $again))) (start $spin)".to_owned(),
        ..Assembled::default()
    };
    let crashes = Assembled {
        check: "unreachable".to_owned(),
        ..Assembled::default()
    };
    let foreign = text(r#"(component (import "acme:outside/world@1.0.0" (instance)))"#);
    let newer = text(r#"(component (import "encaje:host/log@0.2.0" (instance)))"#);
    let table = Assembled {
        also: "(table 100000000 funcref)".to_owned(),
        ..Assembled::default()
    };
    let bad_schema = "[config]\ntype = \"object\"\nproperties = { a = { type = \"nothing\" } }\n";
    let remote_schema =
        "[config]\ntype = \"object\"\n[config.properties.a]\n\"$ref\" = \"http://127.0.0.1:1/schema\"\n";
    let local_schema = "[config]\ntype = \"object\"\n[config.properties.a]\n\"$ref\" = \"file:///etc/passwd\"\n";
    vec![
        ("nothing", Vec::new(), "not WebAssembly;"),
        ("words", b"hello".to_vec(), "not WebAssembly;"),
        ("a program", b"\x7fELF\x02\x01\x01".to_vec(), "not WebAssembly;"),
        ("a core module", text("(module)"), "not a component"),
        (
            "half a component",
            good[..good.len() / 2].to_vec(),
            "not a WebAssembly component",
        ),
        ("no manifest", good.clone(), "carries no manifest"),
        (
            "a huge manifest",
            manifested(&and(&"# more\n".repeat(HUGE / 7))),
            "too large",
        ),
        (
            "a manifest in no alphabet",
            manifested(b"name = \"\xff\xfe\""),
            "not UTF-8",
        ),
        (
            "two manifests",
            with_section(&manifested(MANIFEST.as_bytes()), MANIFEST.as_bytes()),
            "more than one",
        ),
        ("an empty manifest", manifested(b""), "`name`"),
        ("a broken manifest", manifested(b"name = \"x"), "not valid TOML"),
        (
            "a manifest of lists in lists",
            manifested(&and(&format!("x = {}", "[".repeat(DEEP)))),
            "recursion",
        ),
        (
            "a manifest of tables in tables",
            manifested(&and(&format!("x = {}", "{a=".repeat(DEEP)))),
            "recursion",
        ),
        (
            "a manifest of one long key",
            manifested(&and(&format!("x{} = 1", ".a".repeat(DEEP)))),
            "bad.wasm",
        ),
        ("an unknown key", manifested(&and("frobnicate = true")), "frobnicate"),
        (
            "another kind",
            manifested(MANIFEST.replace("\"provider\"", "\"storage\"").as_bytes()),
            "its manifest says `storage`",
        ),
        (
            "another version",
            manifested(MANIFEST.replace("wit = \"0.1\"", "wit = \"0.9\"").as_bytes()),
            "0.9",
        ),
        (
            "a schema that is none",
            manifested(&and(bad_schema)),
            "no valid JSON Schema",
        ),
        (
            "a schema from elsewhere",
            manifested(&and(remote_schema)),
            "no valid JSON Schema",
        ),
        (
            "a schema from this machine",
            manifested(&and(local_schema)),
            "no valid JSON Schema",
        ),
        (
            "a wish that is not granted",
            manifested(&and("[requires]\nkv = true\n")),
            "allow = { kv = true }",
        ),
        (
            "an empty component",
            with_section(&text("(component)"), MANIFEST.as_bytes()),
            "bad",
        ),
        (
            "a foreign import",
            with_section(&foreign, MANIFEST.as_bytes()),
            "acme:outside/world@1.0.0",
        ),
        (
            "a newer import",
            with_section(&newer, MANIFEST.as_bytes()),
            "serves 0.1",
        ),
        (
            "a check that crashes",
            with_section(&crashes.component(), MANIFEST.as_bytes()),
            "crashed",
        ),
        (
            "a check that spins",
            with_section(&spins.component(), MANIFEST.as_bytes()),
            "used up the CPU time",
        ),
        (
            "a start that spins",
            with_section(&starts.component(), MANIFEST.as_bytes()),
            "used up the CPU time",
        ),
        (
            "a table without end",
            with_section(&table.component(), MANIFEST.as_bytes()),
            "bad",
        ),
    ]
}

/// The registry with the file of this name as one more plugin.
fn with_file(name: &str) -> String {
    registry("stub")
        + &format!(
            "\n[plugins.bad]\nkind = \"provider\"\nsource = {{ file = \"{name}\" }}\nlimits = {{ cpu = \"100ms\" }}\n"
        )
}

/// Edits the registry and waits until the server has said something about it that it had not said before.
async fn edited(server: &ServerProcess, text: &str) -> String {
    let before = server.log().len();
    std::fs::write(server.registry(), text).unwrap();
    for _ in 0..2_000 {
        let news = server.log()[before..].to_owned();
        // Why it was refused stands on the lines behind.
        if news.contains("was taken over") || news.contains("was not taken over") {
            return news;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the server did not look at the edit\n{}", server.log());
}

async fn refused(server: &ServerProcess) -> Value {
    let plugins = server.ask(Method::GET, "/api/v1/plugins", "").await;
    let plugins: Value = serde_json::from_str(&plugins.body).unwrap();
    plugins["refused"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_that_an_edit_brings_in_harms_the_generation_that_serves() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path(), &registry("stub"), &[]);
    for (index, (what, bytes, said)) in files().into_iter().enumerate() {
        // Another name for each, so that each is another edit.
        let name = format!("{index}-bad.wasm");
        std::fs::write(folder.path().join(&name), bytes).unwrap();
        let news = edited(&server, &with_file(&name)).await;
        assert!(news.contains("was not taken over"), "{what}:\n{news}");
        let why = refused(&server).await;
        let why = why.as_str().unwrap_or_else(|| panic!("{what}: {why}"));
        assert!(why.contains(said), "{what}: `{said}` is not in\n{why}");
        assert!(why.len() < MOST_SAID, "{what}: {} bytes of explanation", why.len());
        let answer = server.chat("m", "x").await;
        assert_eq!(answer.status, 200, "{what}: {}", answer.body);
    }
    for (what, name, said) in oddities(folder.path()) {
        let news = edited(&server, &with_file(name)).await;
        assert!(news.contains("was not taken over"), "{what}:\n{news}");
        let why = refused(&server).await;
        assert!(why.as_str().is_some_and(|why| why.contains(said)), "{what}: {why}");
        assert_eq!(server.chat("m", "x").await.status, 200, "{what}");
    }
    let good = with_section(&Assembled::default().component(), MANIFEST.as_bytes());
    std::fs::write(folder.path().join("good.wasm"), good).unwrap();
    let news = edited(&server, &with_file("good.wasm")).await;
    assert!(news.contains("was taken over"), "a good one is taken over:\n{news}");
    assert_eq!(refused(&server).await, Value::Null);
    server.stop();
}

/// What has a file's name and is none that could be read to its end.
fn oddities(folder: &Path) -> [(&'static str, &'static str, &'static str); 4] {
    let large = std::fs::File::create(folder.join("large.wasm")).unwrap();
    // Sparse: it takes no room on the disk.
    large.set_len(600 << 20).unwrap();
    std::fs::create_dir(folder.join("folder.wasm")).unwrap();
    let pipe = std::ffi::CString::new(folder.join("pipe.wasm").to_str().unwrap()).unwrap();
    // SAFETY: the path is a text that ends, and outlives the call.
    assert_eq!(unsafe { libc::mkfifo(pipe.as_ptr(), 0o600) }, 0);
    [
        ("a file of half a gigabyte", "large.wasm", "more than"),
        ("a folder", "folder.wasm", "no file"),
        ("a pipe that nobody writes to", "pipe.wasm", "no file"),
        ("nothing at all", "absent.wasm", "absent.wasm"),
    ]
}
