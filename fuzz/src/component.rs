//! What the host reads out of a stranger's component before wasmtime sees it: the manifest, the names at its outside, and
//! whether it imports anything that is not linked.
//!
//! Inputs are the bytes of a component, or a text that stands for them, so that the corpus holds no binaries: the text
//! format, or `hex` and digits with comments behind `;`.

use crate::limits::{COMPONENT_NAMES, MANIFEST_BYTES};
use crate::{manifest, previous, told};
use encaje_core::ProblemKind;

/// What reads a component's file, as it stands in the supply, which itself stands on toolchains.
#[allow(dead_code, unreachable_pub, reason = "of another crate; no file is opened here")]
#[path = "../../host/supply/src/build/component.rs"]
mod file;
/// The look before compilation, as it stands in the runtime, which itself stands on wasmtime.
#[path = "../../host/runtime/src/component.rs"]
mod look;

use file::{ComponentError, Outside, embed_manifest, inspect, read_manifest};

/// Characters of a sentence about a file: some names and numbers in it, and not what the file holds.
const SENTENCE: usize = 1_024;

/// Any bytes, or a text that stands for some.
///
/// # Panics
/// Where a property does not hold.
pub fn holds(input: &[u8]) {
    if let Some(bytes) = assembled(input) {
        component(&bytes);
        // What is cut off is never a panic, and never another component. A fuzzer does the rest of the damage.
        let steps = bytes.len() / 64 + 1;
        (0..bytes.len()).step_by(steps).for_each(|end| component(&bytes[..end]));
    } else {
        component(input);
    }
}

/// The bytes that a text stands for; `None` for what is no such text.
#[must_use]
pub fn assembled(input: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(input).ok()?;
    if let Some(digits) = text.strip_prefix("hex") {
        let digits: Vec<char> = digits
            .lines()
            .filter_map(|line| line.split(';').next())
            .flat_map(str::chars)
            .filter(|each| !each.is_whitespace())
            .collect();
        let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).ok();
        return digits.chunks(2).map(byte).collect();
    }
    let is_text = text.trim_start().starts_with(['(', ';']);
    is_text.then(|| wat::parse_str(text).ok()).flatten()
}

fn component(bytes: &[u8]) {
    let outside = inspect(bytes);
    match (&outside, read_manifest(bytes)) {
        (Ok(outside), Ok(manifest)) => {
            assert_eq!(outside.manifest, manifest, "two readers see two manifests");
            assert_eq!(inspect(bytes).ok().as_ref(), Some(outside));
            shown(outside);
            carried(bytes, outside);
        }
        (Err(error), Err(again)) => {
            assert_eq!(error.to_string(), again.to_string());
            sentence(&error.to_string());
        }
        (one, other) => panic!("once accepted and once not: {one:?}, {other:?}"),
    }
    looked_at(bytes, outside.as_ref());
    renamed(bytes, outside.as_ref());
}

/// Renaming the imports of the previous version moves nothing, and changes nothing else.
fn renamed(bytes: &[u8], outside: Result<&Outside, &ComponentError>) {
    let renamed = previous::renamed(bytes);
    assert_eq!(renamed.len(), bytes.len());
    assert_eq!(previous::renamed(&renamed), renamed, "there is nothing left to rename");
    let (Ok(before), Ok(after)) = (outside, inspect(&renamed)) else {
        return;
    };
    assert_eq!(
        (before.exports.len(), before.imports.len()),
        (after.exports.len(), after.imports.len())
    );
    for (before, after) in before.imports.iter().zip(&after.imports) {
        let (name, version) = after.name.rsplit_once('@').unwrap_or((&after.name, ""));
        let same = before.name == after.name;
        assert!(same || version == "0.1.0" && before.name == format!("{name}@{}", previous::VERSION));
    }
}

/// What `encaje plugin inspect` prints.
fn shown(outside: &Outside) {
    assert!(outside.imports.len() <= COMPONENT_NAMES && outside.exports.len() <= COMPONENT_NAMES);
    for item in outside.imports.iter().chain(&outside.exports) {
        sentence(&item.name);
    }
    if let Some(text) = &outside.manifest {
        assert!(text.len() as u64 <= MANIFEST_BYTES);
        manifest::checked(text);
    }
}

/// A manifest can be put into what has none, once, and comes back as it was.
fn carried(bytes: &[u8], outside: &Outside) {
    let text = "name = \"uno\"\n";
    match embed_manifest(bytes, text) {
        Ok(with) => {
            assert!(outside.manifest.is_none() && with.starts_with(bytes));
            let expected = Outside {
                manifest: Some(text.to_owned()),
                size: with.len() as u64,
                ..outside.clone()
            };
            assert_eq!(inspect(&with).ok(), Some(expected));
            assert!(matches!(embed_manifest(&with, text), Err(ComponentError::TwoManifests)));
        }
        Err(error) => assert!(
            matches!(error, ComponentError::TwoManifests) && outside.manifest.is_some(),
            "{error}"
        ),
    }
}

/// The look before compilation agrees with what is shown.
fn looked_at(bytes: &[u8], outside: Result<&Outside, &ComponentError>) {
    match (look::check(bytes), outside) {
        (Ok(_), Ok(outside)) => {
            let known = ["wasi:", "encaje:host/", "encaje:common/"];
            for import in &outside.imports {
                assert!(
                    known.iter().any(|known| import.name.starts_with(known)),
                    "{}",
                    import.name
                );
                assert!(!import.name.starts_with("wasi:http/"), "{}", import.name);
            }
        }
        (Ok(_), Err(error)) => assert!(
            !matches!(error, ComponentError::CoreModule),
            "a core module was accepted"
        ),
        (Err(problem), _) => {
            assert_eq!(problem.kind, ProblemKind::Misconfigured);
            sentence(&problem.message);
            sentence(&problem.log_detail.unwrap_or_default());
        }
    }
}

fn sentence(text: &str) {
    told::plain(text);
    assert!(
        text.chars().count() <= SENTENCE,
        "{} characters of {text:.80}",
        text.chars().count()
    );
}
