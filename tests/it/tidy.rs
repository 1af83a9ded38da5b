//! The repository's own rules: which crate imports which, what each file says first, how long things may be, what must
//! not be named.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::support::root;

/// Lines of a file, and of a function.
const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 70;

/// What each crate of the host may import of the others, and which outside crates belong to one crate alone.
const IMPORTS: [(&str, &[&str]); 9] = [
    ("core", &[]),
    ("registry", &["core"]),
    ("capabilities", &["core"]),
    ("bindings", &[]),
    ("runtime", &["core", "capabilities", "bindings"]),
    ("inference", &["core"]),
    ("http", &["core"]),
    ("supply", &[]),
    (
        "cli",
        &[
            "core",
            "registry",
            "capabilities",
            "runtime",
            "inference",
            "http",
            "supply",
            "testkit",
        ],
    ),
];
const OWNERS: [(&str, &[&str]); 8] = [
    ("wasmtime", &["bindings", "runtime"]),
    ("wasmtime-wasi", &["runtime"]),
    ("rusqlite", &["capabilities"]),
    ("reqwest", &["capabilities"]),
    ("axum", &["http"]),
    ("candle-core", &["inference"]),
    ("tokenizers", &["inference"]),
    ("clap", &["cli"]),
];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                files(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn rust_files(folders: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in folders {
        files(&root().join(folder), &mut found);
    }
    assert!(found.len() > 20, "{folders:?} hold only {} files", found.len());
    found
}

fn host_crates() -> Vec<String> {
    let entries = std::fs::read_dir(root().join("host")).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn dependencies(name: &str) -> Vec<String> {
    let manifest = std::fs::read_to_string(root().join("host").join(name).join("Cargo.toml")).unwrap();
    let manifest: toml::Table = toml::from_str(&manifest).unwrap();
    manifest
        .get("dependencies")
        .and_then(toml::Value::as_table)
        .map(|table| table.keys().cloned().collect())
        .unwrap_or_default()
}

#[test]
fn crates_import_only_what_the_table_says() {
    let table: BTreeMap<_, _> = IMPORTS.into_iter().collect();
    for name in host_crates() {
        let allowed = table
            .get(name.as_str())
            .unwrap_or_else(|| panic!("host/{name} is not in the table"));
        for dependency in dependencies(&name) {
            if let Some(other) = dependency.strip_prefix("encaje-") {
                assert!(allowed.contains(&other), "host/{name} imports host/{other}");
            }
            for (outside, owners) in OWNERS {
                assert!(
                    dependency != outside || owners.contains(&name.as_str()),
                    "host/{name} imports {outside}"
                );
            }
        }
    }
}

#[test]
fn every_file_says_first_what_it_is_for() {
    let silent: Vec<_> = rust_files(&["fuzz", "host", "plugins", "sdk", "tests"])
        .into_iter()
        .filter(|path| !std::fs::read_to_string(path).unwrap().starts_with("//! "))
        .collect();
    assert!(silent.is_empty(), "without a `//!` at the top: {silent:#?}");
}

#[test]
fn files_and_functions_fit_a_reader() {
    let mut long = Vec::new();
    for path in rust_files(&["fuzz", "host", "plugins", "sdk", "tests"]) {
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        if lines.len() > FILE_LINES {
            long.push(format!("{}: {} lines", path.display(), lines.len()));
        }
        for (name, length) in functions(&lines) {
            if length > FUNCTION_LINES {
                long.push(format!("{}: fn {name} has {length} lines", path.display()));
            }
        }
    }
    assert!(long.is_empty(), "{long:#?}");
}

/// Each function with its number of lines: from its `fn` to the brace that closes at the same indentation, as rustfmt
/// lays it out.
fn functions(lines: &[&str]) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = &line[..line.len() - code.len()];
        let Some(at) = code.find("fn ").filter(|at| *at == 0 || code[..*at].ends_with(' ')) else {
            continue;
        };
        if code.starts_with("//") || code[..at].contains('"') {
            continue;
        }
        let name = code[at + 3..].split(['(', '<']).next().unwrap_or_default().to_owned();
        let end = lines[start..].iter().position(|line| *line == format!("{indent}}}"));
        let declared_only = lines[start..]
            .iter()
            .position(|line| line.ends_with(';') && !line.contains('{'));
        if let Some(end) = end
            && declared_only
                .is_none_or(|declared| lines[start..=start + declared].iter().any(|line| line.ends_with('{')))
        {
            found.push((name, end + 1));
        }
    }
    found
}

#[test]
fn the_host_names_no_plugin_and_no_upstream() {
    let mut plugins: Vec<String> = std::fs::read_dir(root().join("plugins"))
        .unwrap()
        .map(Result::unwrap)
        .filter(|entry| entry.path().join("plugin.toml").exists())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert!(plugins.len() >= 3, "{plugins:?}");
    plugins.extend(
        [
            "huggingface.co",
            "api.openai.com",
            "api.anthropic.com",
            "pypi.org",
            "crates.io/api",
        ]
        .map(str::to_owned),
    );
    let mut named = Vec::new();
    for name in host_crates() {
        let mut sources = Vec::new();
        files(&root().join("host").join(name).join("src"), &mut sources);
        for path in sources.into_iter().filter(|path| !is_test(path)) {
            let text = std::fs::read_to_string(&path).unwrap();
            let shipped = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
            named.extend(
                plugins
                    .iter()
                    .filter(|name| shipped.contains(*name))
                    .map(|name| format!("{}: {name}", path.display())),
            );
        }
    }
    assert!(named.is_empty(), "{named:#?}");
}

/// Unit tests in files of their own may name what they test with.
fn is_test(path: &Path) -> bool {
    path.components().any(|part| {
        let part = part.as_os_str().to_string_lossy();
        part == "tests" || part == "tests.rs" || part.ends_with("_tests.rs") || part == "testing"
    })
}

#[test]
fn core_touches_nothing_outside() {
    for dependency in dependencies("core") {
        let outside = [
            "hyper",
            "axum",
            "wasmtime",
            "rusqlite",
            "reqwest",
            "notify",
            "clap",
            "candle-core",
        ];
        assert!(!outside.contains(&dependency.as_str()), "core imports {dependency}");
    }
    let mut sources = Vec::new();
    files(&root().join("host/core/src"), &mut sources);
    for path in sources {
        let text = std::fs::read_to_string(&path).unwrap();
        for module in ["std::fs", "std::net", "tokio::fs", "tokio::net", "std::process"] {
            assert!(!text.contains(module), "{} uses {module}", path.display());
        }
    }
}

/// Every hostile guest is in the page about them, and every test that the page names is there.
#[test]
fn the_page_about_attacks_names_every_hostile_guest_and_only_tests_that_exist() {
    let page = std::fs::read_to_string(root().join("docs/src/sandbox.md")).unwrap();
    for entry in std::fs::read_dir(root().join("tests/fixtures"))
        .unwrap()
        .map(Result::unwrap)
    {
        let name = entry.file_name().into_string().unwrap();
        // The others only break their contract, or are old; `judged.rs` and `versions.rs` are about them.
        let is_hostile = name != "previous-provider" && !name.starts_with("wrong-");
        if is_hostile && entry.path().join("plugin.toml").is_file() {
            assert!(page.contains(&format!("`{name}`")), "no attack names the guest {name}");
        }
    }
    let mut sources = Vec::new();
    files(&root().join("tests/it"), &mut sources);
    let sources: String = sources
        .iter()
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    // Between backquotes stands every second piece; tests are the words with many parts.
    let words = page.split('`').skip(1).step_by(2);
    let tests: Vec<&str> = words
        .filter(|word| {
            word.matches('_').count() >= 3 && word.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase())
        })
        .collect();
    assert!(tests.len() > 30, "{tests:?}");
    for test in tests {
        assert!(sources.contains(&format!("fn {test}()")), "there is no test {test}");
    }
}

/// The two pages that lead through the sources name files that are there, by the end of their path, and functions
/// that are.
#[test]
fn the_pages_about_the_sources_name_what_is_there() {
    let mut sources = Vec::new();
    for folder in ["host", "tests/it", "plugins/storage-sqlite/src"] {
        files(&root().join(folder), &mut sources);
    }
    let code: String = sources
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .collect();
    let known: Vec<String> = sources.iter().map(|path| path.display().to_string()).collect();
    let mut seen = 0;
    for page in ["architecture.md", "life-of-a-request.md"] {
        let text = std::fs::read_to_string(root().join("docs/src").join(page)).unwrap();
        for word in text.split('`').skip(1).step_by(2) {
            let is_file = word.ends_with(".rs") && !word.contains([' ', '*', '{']);
            if is_file {
                seen += 1;
                let end = format!("/{word}");
                let there = known.iter().any(|path| path.ends_with(&end)) || root().join(word).exists();
                assert!(there, "{page} names the file `{word}`");
            } else if let Some(function) = word.strip_suffix("()") {
                seen += 1;
                let name = function.rsplit([':', '.']).next().unwrap();
                assert!(
                    code.contains(&format!("fn {name}")),
                    "{page} names the function `{word}`"
                );
            }
        }
    }
    assert!(seen > 40, "{seen}");
}
