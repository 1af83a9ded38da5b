//! What a plugin of the previous version may import, by name, and the renaming of what has not changed since.
//!
//! It knows no bindings and no wasmtime, so that it can be fuzzed without them.

use std::borrow::Cow;

use wasmparser::{Parser, Payload};

/// The one version of 0.0.
pub(crate) const VERSION: &str = "0.0.1";

/// What an unchanged interface is called here.
const SAME_AS: &str = "0.1.0";

/// A name is changed in place, which leaves every length and offset of the file as it was.
const _: () = assert!(VERSION.len() == SAME_AS.len());

/// Interfaces that a plugin of 0.0 may import and that are the same today.
const UNCHANGED: [&str; 13] = [
    "encaje:common/errors",
    "encaje:common/chat",
    "encaje:common/embeddings",
    "encaje:common/values",
    "encaje:host/call",
    "encaje:host/config",
    "encaje:host/clock",
    "encaje:host/metrics",
    "encaje:host/kv",
    "encaje:host/http",
    "encaje:host/secrets",
    "encaje:host/inference",
    "encaje:common/lifecycle",
];

/// Those that are not.
const CHANGED: [&str; 1] = ["encaje:host/log"];

/// Whether version 0.0 had an interface of this name to import.
pub(crate) fn offers(interface: &str) -> bool {
    UNCHANGED.contains(&interface) || CHANGED.contains(&interface)
}

/// The component with its unchanged imports under their names of today. Its exports stay: they are bound apart.
pub(crate) fn renamed(wasm: &[u8]) -> Cow<'_, [u8]> {
    let mut renamed = Cow::Borrowed(wasm);
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(wasm) {
        // Whoever compiles the file says what is wrong with it.
        let Ok(payload) = payload else { break };
        match payload {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 1 => {
                for import in imports.into_iter().flatten() {
                    let name = import.name.0;
                    let Some((interface, VERSION)) = name.rsplit_once('@') else {
                        continue;
                    };
                    if !UNCHANGED.contains(&interface) {
                        continue;
                    }
                    // The name is a part of the file's bytes: its address tells where.
                    let start = name.as_ptr().addr() - wasm.as_ptr().addr() + interface.len() + 1;
                    if let Some(place) = renamed.to_mut().get_mut(start..start + SAME_AS.len()) {
                        place.copy_from_slice(SAME_AS.as_bytes());
                    }
                }
            }
            _ => {}
        }
    }
    renamed
}
