//! A look at a component before it is compiled: what it is, and whether this host can serve it, in words.
//!
//! It needs wasmparser, the problem type and the crate's limits alone, so that `fuzz/` compiles this file by itself, without wasmtime.

use encaje_core::{Problem, ProblemKind};
use wasmparser::{Encoding, Parser, Payload};

use crate::limits::IMPORT_NAME;
use crate::previous;

/// The minor version of the contracts that a component was built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// 0.1.
    Current,
    /// 0.0.
    Previous,
}

/// Refuses what is no component, and components that import what is not linked.
///
/// # Errors
/// `Misconfigured`, with what is wrong and what to do.
pub(crate) fn check(wasm: &[u8]) -> Result<Version, Problem> {
    if !wasm.starts_with(b"\0asm") {
        let elf = wasm.starts_with(b"\x7fELF");
        let hint = if elf {
            " Precompiled code is never accepted."
        } else {
            ""
        };
        return Err(refused(format!("The file is not WebAssembly.{hint}")));
    }
    let mut depth = 0_u32;
    let mut version = None;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.map_err(|error| refused("The file is not valid WebAssembly.").with_detail(error))? {
            Payload::Version {
                encoding: Encoding::Module,
                ..
            } if depth == 0 => {
                return Err(refused(
                    "The file is a core module, not a component: build it with `encaje plugin build`.",
                ));
            }
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            // To the parser, the end of the file is as good an end of what is nested as its own.
            Payload::ModuleSection { unchecked_range, .. } | Payload::ComponentSection { unchecked_range, .. }
                if unchecked_range.end > wasm.len() =>
            {
                return Err(refused("The file is cut off: build or fetch it again."));
            }
            Payload::ComponentImportSection(imports) if depth == 1 => {
                for import in imports {
                    let import =
                        import.map_err(|error| refused("The file's imports are malformed.").with_detail(error))?;
                    let Some(this) = check_import(import.name.0)? else {
                        continue;
                    };
                    if version.is_some_and(|version| version != this) {
                        return Err(refused(
                            "The component imports two versions of the plugin contracts at once: build it against one.",
                        ));
                    }
                    version = Some(this);
                }
            }
            _ => {}
        }
    }
    Ok(version.unwrap_or(Version::Current))
}

/// The version of the contracts that an import names, where it is one of theirs.
fn check_import(name: &str) -> Result<Option<Version>, Problem> {
    // What follows names it, to an operator whose terminal it could rewrite.
    if name.len() > IMPORT_NAME || name.chars().any(char::is_control) {
        return Err(refused(
            "The component imports something by a name that is too long or has control characters in it.",
        ));
    }
    if name.starts_with("wasi:http/") {
        return Err(refused(format!(
            "The component imports `{name}`, which this host does not link: `encaje:host/http` is the one way out."
        )));
    }
    let known = name.starts_with("wasi:") || name.starts_with("encaje:host/") || name.starts_with("encaje:common/");
    if !known {
        return Err(refused(format!(
            "The component imports `{name}`, which this host does not offer."
        )));
    }
    if !name.starts_with("encaje:") {
        return Ok(None);
    }
    let (interface, version) = name.rsplit_once('@').unwrap_or((name, "none"));
    if version.starts_with("0.1.") {
        return Ok(Some(Version::Current));
    }
    if version != previous::VERSION {
        return Err(refused(format!(
            "The component was built for version {version} of the plugin contracts (`{name}`), and this host serves \
             0.1 and, of the previous, {}: build it again with this host's `wit` folder.",
            previous::VERSION
        )));
    }
    if !previous::offers(interface) {
        return Err(refused(format!(
            "The component imports `{name}`, which that version of the plugin contracts did not have."
        )));
    }
    Ok(Some(Version::Previous))
}

fn refused(message: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Misconfigured, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(wasm: &[u8]) -> String {
        check(wasm).unwrap_err().message
    }

    #[test]
    fn what_is_no_component_is_refused_in_words() {
        assert!(message(b"hello").contains("not WebAssembly"));
        assert!(message(b"\x7fELF\x02\x01").contains("Precompiled"));
        assert!(message(b"\0asm\x01\0\0\0").contains("core module"));
        assert!(message(b"\0asm\x0d\0\x01\0\xff\xff").contains("not valid"));
        // A module of 9 bytes is announced, and all that comes of it is its head.
        assert!(message(b"\0asm\x0d\0\x01\0\x01\x09\0asm\x01\0\0\0").contains("cut off"));
    }

    #[test]
    fn imports_that_are_not_linked_are_refused_in_words() {
        assert!(
            check_import("wasi:http/types@0.2.3")
                .unwrap_err()
                .message
                .contains("one way out")
        );
        assert!(
            check_import("acme:x/y@1.0.0")
                .unwrap_err()
                .message
                .contains("does not offer")
        );
        assert!(
            check_import("encaje:host/log@0.2.0")
                .unwrap_err()
                .message
                .contains("serves 0.1")
        );
        assert_eq!(check_import("encaje:host/log@0.1.3"), Ok(Some(Version::Current)));
        assert_eq!(check_import("encaje:host/log@0.0.1"), Ok(Some(Version::Previous)));
        assert_eq!(check_import("wasi:io/streams@0.2.6"), Ok(None));
        assert!(
            check_import("encaje:host/sql@0.0.1")
                .unwrap_err()
                .message
                .contains("did not have")
        );
    }

    #[test]
    fn a_name_that_could_rewrite_a_terminal_is_not_shown() {
        for name in ["wasi:\u{1b}[2J", "encaje:host/\n", &"n".repeat(IMPORT_NAME + 1)] {
            let message = check_import(name).unwrap_err().message;
            assert!(message.contains("by a name that is too long or"), "{message:?}");
        }
    }

    /// A component of imports alone: two empty instance types, imported by name.
    fn importing(names: [&str; 2]) -> Vec<u8> {
        let mut wasm = b"\0asm\x0d\0\x01\0".to_vec();
        wasm.extend([7, 3, 1, 0x42, 0]);
        let mut imports = vec![2];
        for name in names {
            imports.extend([0, u8::try_from(name.len()).unwrap()]);
            imports.extend(name.bytes());
            imports.extend([5, 0]);
        }
        wasm.extend([10, u8::try_from(imports.len()).unwrap()]);
        wasm.extend(imports);
        wasm
    }

    #[test]
    fn what_is_the_same_has_its_name_of_today_and_what_changed_keeps_its_own() {
        let wasm = importing(["encaje:host/kv@0.0.1", "encaje:host/log@0.0.1"]);
        assert_eq!(check(&wasm), Ok(Version::Previous));
        assert_eq!(
            previous::renamed(&wasm),
            importing(["encaje:host/kv@0.1.0", "encaje:host/log@0.0.1"])
        );
    }

    #[test]
    fn two_versions_at_once_are_refused() {
        let wasm = importing(["encaje:host/kv@0.1.0", "encaje:host/log@0.0.1"]);
        assert!(check(&wasm).unwrap_err().message.contains("two versions"));
    }

    #[test]
    fn a_file_that_is_cut_short_is_left_to_the_compiler() {
        let wasm = importing(["encaje:host/kv@0.0.1", "encaje:host/log@0.0.1"]);
        for end in 0..wasm.len() {
            assert_eq!(previous::renamed(&wasm[..end]).len(), end);
        }
    }
}
