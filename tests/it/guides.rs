//! The guides of the book, followed to the letter. A guide that says what is not so fails here.

mod page;
mod reader;

use reader::Reader;

use crate::support::root;

/// The page whose section [`COMMON`] comes before each guide.
const FIRST: &str = "docs/src/plugins.md";
const COMMON: &str = "A folder to work in";

/// Every guide there is.
const GUIDES: [&str; 6] = [
    "evaluator",
    "instrumentor",
    "provider",
    "retriever",
    "source",
    "storage",
];

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn follow(guide: &str) {
    let first = read(FIRST);
    let common = page::section(&first, COMMON).unwrap_or_else(|| panic!("{FIRST} has no section `{COMMON}`"));
    let path = format!("docs/src/guides/{guide}.md");
    let mut reader = Reader::new();
    reader
        .follow(common)
        .unwrap_or_else(|wrong| panic!("{FIRST}, {COMMON}, {wrong}"));
    reader
        .follow(&read(&path))
        .unwrap_or_else(|wrong| panic!("{path}, {wrong}"));
}

#[test]
fn a_provider_by_its_guide() {
    follow("provider");
}

#[test]
fn a_storage_by_its_guide() {
    follow("storage");
}

#[test]
fn an_evaluator_by_its_guide() {
    follow("evaluator");
}

#[test]
fn an_instrumentor_by_its_guide() {
    follow("instrumentor");
}

#[test]
fn a_retriever_by_its_guide() {
    follow("retriever");
}

#[test]
fn a_source_by_its_guide() {
    follow("source");
}

#[test]
fn no_guide_is_left_out() {
    let mut pages: Vec<String> = std::fs::read_dir(root().join("docs/src/guides"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort();
    assert_eq!(pages, GUIDES.map(|guide| format!("{guide}.md")));
    for guide in GUIDES {
        let steps = page::steps(&read(&format!("docs/src/guides/{guide}.md"))).unwrap();
        let expectations = steps
            .iter()
            .filter(|step| matches!(step.action, page::Action::Expect(_)));
        assert!(
            expectations.count() >= 3,
            "{guide} says too little of what its commands print"
        );
    }
}

/// A guide as small as it can be, which is right.
const RIGHT: &str = "# A guide\n\n```sh\nencaje plugin new tiny --kind source --into tiny\n```\n\n\
    ```text\ntiny: source in rust\n…\n```\n\n\
    ```diff file=tiny/plugin.toml\n-publisher = \"me\"\n+publisher = \"you\"\n```\n\n\
    ```sh\ngrep -c '\"you\"' tiny/plugin.toml\n```\n\n```text\n1\n```\n";

#[test]
fn a_guide_that_is_wrong_fails_where_it_is_wrong() {
    Reader::new().follow(RIGHT).unwrap();
    for (right, wrong, line, said) in [
        (": source in rust", ": source in lace", 7, "tiny: source in rust"),
        ("--kind source", "--kind sauce", 3, "invalid value 'sauce'"),
        ("-publisher = \"me\"", "-publisher = \"them\"", 12, "0 times"),
        ("```text\n1\n", "```text\n2\n", 21, "but it printed\n1\n"),
    ] {
        assert!(RIGHT.contains(right));
        let failed = Reader::new().follow(&RIGHT.replace(right, wrong)).unwrap_err();
        assert!(
            failed.starts_with(&format!("line {line}: ")) && failed.contains(said),
            "{wrong}: {failed}"
        );
    }
}

#[test]
fn what_a_guide_leaves_running_is_ended() {
    let mut reader = Reader::new();
    reader
        .follow("```sh\nsleep 600 > /dev/null 2>&1 &\necho $! > pid\necho 127.0.0.1:8080\n```\n")
        .unwrap();
    let pid: u32 = std::fs::read_to_string(reader.folder().join("pid"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    // A process that ended but that nobody has asked for stays listed, without a command line.
    let runs = || std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty());
    assert!(runs());
    drop(reader);
    assert!(!runs());
}
