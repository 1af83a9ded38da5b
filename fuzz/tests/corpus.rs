//! Plays the committed inputs, and damaged ones of them, through what must hold. It finds nothing new: that is the
//! fuzzer's part, see the README.

use std::path::{Path, PathBuf};

use encaje_fuzz::{Property, TARGETS, component};

/// Files of one target, bytes of one file and of all: a corpus is read by people and carried by every clone.
const FILES: usize = 30;
const FILE_BYTES: usize = 4 << 10;
const ALL_BYTES: usize = 200 << 10;

fn inputs(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut inputs: Vec<_> = entries
        .map(|entry| entry.expect("the folder can be read").path())
        .map(|path| (path.clone(), std::fs::read(path).expect("the file can be read")))
        .collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "{} is empty", folder.display());
    inputs
}

fn replay(target: &str) {
    let (_, property) = TARGETS.into_iter().find(|(name, _)| *name == target).expect("a target");
    for (path, input) in inputs(target) {
        // A panic says what does not hold; this says of which file.
        println!("{}", path.display());
        property(&input);
        damaged(&input, property);
    }
}

/// Each input without its end, and with a byte changed, at some places.
fn damaged(input: &[u8], property: Property) {
    let step = input.len() / 24 + 1;
    for at in (0..input.len()).step_by(step) {
        property(&input[..at]);
        for flip in [0x01, 0x20, 0x80] {
            let mut other = input.to_vec();
            other[at] ^= flip;
            property(&other);
        }
    }
}

#[test]
fn registries_hold() {
    replay("registry");
}

#[test]
fn manifests_hold() {
    replay("manifest");
}

#[test]
fn components_hold() {
    replay("component");
    // The texts are of use only while they stand for something.
    for (path, input) in inputs("component") {
        assert!(component::assembled(&input).is_some(), "{}", path.display());
    }
}

#[test]
fn streams_hold() {
    replay("sse");
}

#[test]
fn corpora_stay_small_and_are_text() {
    let mut all = 0;
    for (target, _) in TARGETS {
        let inputs = inputs(target);
        assert!(inputs.len() <= FILES, "{target} has {} files", inputs.len());
        for (path, input) in inputs {
            assert!(input.len() < FILE_BYTES, "{} has {} bytes", path.display(), input.len());
            assert!(!input.contains(&0), "{}: inputs stand there as text", path.display());
            all += input.len();
        }
    }
    assert!(all < ALL_BYTES, "{all} bytes");
}
