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

/// What is wrong with a file, its bytes, and what is said of it.
type Bad = (&'static str, Vec<u8>, &'static str);

/// What is no plugin, whatever it says of itself.
fn strangers() -> Vec<Bad> {
    let good = Assembled::default().component();
    let half = good[..good.len() / 2].to_vec();
    vec![
        ("nothing", Vec::new(), "not WebAssembly;"),
        ("words", b"hello".to_vec(), "not WebAssembly;"),
        ("a program", b"\x7fELF\x02\x01\x01".to_vec(), "not WebAssembly;"),
        ("a core module", text("(module)"), "not a component"),
        ("half a component", half, "not a WebAssembly component"),
        ("no manifest", good, "carries no manifest"),
    ]
}

/// Manifests that cannot be read, in a component that is well.
fn manifests() -> Vec<Bad> {
    let good = Assembled::default().component();
    let twice = with_section(&with_section(&good, MANIFEST.as_bytes()), MANIFEST.as_bytes());
    let bad = |what, text: &[u8], said| (what, with_section(&good, text), said);
    let (lists, tables) = ("[".repeat(DEEP), "{a=".repeat(DEEP));
    let (key, comments) = (".a".repeat(DEEP), "# more\n".repeat(HUGE / 7));
    vec![
        ("two manifests", twice, "more than one"),
        bad("a huge manifest", &and(&comments), "too large"),
        bad("a manifest in no alphabet", b"name = \"\xff\xfe\"", "not UTF-8"),
        bad("an empty manifest", b"", "`name`"),
        bad("a broken manifest", b"name = \"x", "not valid TOML"),
        bad("lists in lists", &and(&format!("x = {lists}")), "recursion"),
        bad("tables in tables", &and(&format!("x = {tables}")), "recursion"),
        bad("one long key", &and(&format!("x{key} = 1")), "recursion"),
        bad("an unknown key", &and("frobnicate = true"), "frobnicate"),
    ]
}

/// Manifests that can be read, and that nothing can be made of.
fn wishes() -> Vec<Bad> {
    let good = Assembled::default().component();
    let bad = |what, text: &[u8], said| (what, with_section(&good, text), said);
    let storage = MANIFEST.replace("\"provider\"", "\"storage\"");
    let newer = MANIFEST.replace("wit = \"0.1\"", "wit = \"0.9\"");
    let schema = |property: &str| {
        and(&format!(
            "[config]\ntype = \"object\"\nproperties = {{ a = {{ {property} }} }}\n"
        ))
    };
    let (none, remote, local) = (
        schema("type = \"nothing\""),
        schema("\"$ref\" = \"http://127.0.0.1:1/schema\""),
        schema("\"$ref\" = \"file:///etc/passwd\""),
    );
    vec![
        bad("another kind", storage.as_bytes(), "its manifest says `storage`"),
        bad("another version", newer.as_bytes(), "0.9"),
        bad("a schema that is none", &none, "no valid JSON Schema"),
        bad("a schema from elsewhere", &remote, "no valid JSON Schema"),
        bad("a schema from this machine", &local, "no valid JSON Schema"),
        bad(
            "a wish that is not granted",
            &and("[requires]\nkv = true\n"),
            "allow = { kv = true }",
        ),
    ]
}

/// Components with a good manifest that cannot be started.
fn components() -> Vec<Bad> {
    let spin = || "(loop $again (br $again)) unreachable".to_owned();
    let bad = |what, component: Vec<u8>, said| (what, with_section(&component, MANIFEST.as_bytes()), said);
    let import = |name: &str| text(&format!("(component (import \"{name}\" (instance)))"));
    let with = |also: &str, check: String| {
        let also = also.to_owned();
        let assembled = Assembled {
            also,
            check,
            ..Assembled::default()
        };
        assembled.component()
    };
    let (start, well) = (
        format!("(func $spin {}) (start $spin)", spin()),
        "(i32.const 0)".to_owned(),
    );
    let foreign = "acme:outside/world@1.0.0";
    vec![
        bad("an empty component", text("(component)"), "is no provider"),
        bad("a foreign import", import(foreign), foreign),
        bad("a newer import", import("encaje:host/log@0.2.0"), "0.2.0"),
        bad("a check that crashes", with("", "unreachable".to_owned()), "crashed"),
        bad("a check that spins", with("", spin()), "used up the CPU time"),
        bad("a start that spins", with(&start, well.clone()), "used up the CPU time"),
        bad(
            "a table without end",
            with("(table 100000000 funcref)", well),
            "100000000",
        ),
    ]
}

/// The registry with the file of this name as one more plugin.
fn with_file(name: &str) -> String {
    registry("stub")
        + &format!(
            "\n[plugins.bad]\nkind = \"provider\"\nsource = {{ file = \"{name}\" }}\nlimits = {{ cpu = \"1s\" }}\n"
        )
}

/// Edits the registry and waits until the server has said something about it that it had not said before.
async fn edited(server: &ServerProcess, text: &str) -> String {
    let before = server.log().len();
    let beside = server.registry().with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(&beside, server.registry()).unwrap();
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
    let all = [strangers(), manifests(), wishes(), components()].into_iter().flatten();
    for (index, (what, bytes, said)) in all.enumerate() {
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
