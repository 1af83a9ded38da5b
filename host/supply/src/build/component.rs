//! Component files as bytes: puts the manifest in, reads it back, lists what a component imports and exports. Reads
//! structure only; nothing is validated as code or run.
//!
//! It needs wasmparser, wasm-encoder and the crate's limits alone, so that `fuzz/` compiles this file by itself.

use std::{fs, path::Path};

use wasm_encoder::{CustomSection, Encode};
use wasmparser::{ComponentExternalKind, Encoding, Parser, Payload};

use crate::limits::{COMPONENT_BYTES, COMPONENT_NAME_BYTES, COMPONENT_NAMES, MANIFEST_BYTES};

/// The custom section that holds the manifest's text.
pub const MANIFEST_SECTION: &str = "encaje:manifest";

/// Why a file is no plugin component.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComponentError {
    /// It cannot be read.
    // The system's words are in the text, so they are no source beside it: they would be said twice.
    #[error("cannot read the component: {0}")]
    Read(std::io::Error),
    /// It is a folder, a pipe or a device.
    #[error("it is no file")]
    NoFile,
    /// It is larger than [`COMPONENT_BYTES`].
    #[error("the file has {0} bytes, more than the {COMPONENT_BYTES} that a component may have")]
    TooLarge(u64),
    /// It does not begin as WebAssembly does.
    #[error("not WebAssembly; precompiled code is never accepted: build it with `encaje plugin build`")]
    NoWasm,
    /// Its bytes are not WebAssembly.
    #[error("not a WebAssembly component: {0}")]
    Malformed(String),
    /// It is a core module.
    #[error(
        "a core WebAssembly module, not a component: build it for wasm32-wasip2, or wrap it with `wasm-tools component new`"
    )]
    CoreModule,
    /// There is more than one manifest, so that two readers could see two.
    #[error("the component has more than one section {MANIFEST_SECTION:?}")]
    TwoManifests,
    /// The manifest's bytes are no text of a reasonable size.
    #[error("the section {MANIFEST_SECTION:?} is {0}")]
    BadManifest(&'static str),
    /// It has more names than any plugin needs.
    #[error("the component has more than {COMPONENT_NAMES} imports and exports")]
    TooManyNames,
    /// A name that no tool writes: it would be shown to an operator, whose terminal it could rewrite.
    #[error(
        "an import or export has a name of more than {COMPONENT_NAME_BYTES} bytes, or with control characters in it"
    )]
    BadName,
}

impl From<std::io::Error> for ComponentError {
    fn from(error: std::io::Error) -> Self {
        Self::Read(error)
    }
}

/// One import or export at the component's outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Such as `encaje:host/log@0.1.0`.
    pub name: String,
    /// `instance` (an interface), `function`, `type`, `module`, `component` or `value`.
    pub kind: &'static str,
}

/// What a component shows to its outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// In the file's order.
    pub imports: Vec<Item>,
    /// In the file's order.
    pub exports: Vec<Item>,
    /// The manifest's text, where there is one.
    pub manifest: Option<String>,
    /// The file's length in bytes.
    pub size: u64,
}

/// Reads a component file whole, within the limit.
///
/// # Errors
/// [`ComponentError::Read`], [`ComponentError::NoFile`] and [`ComponentError::TooLarge`].
pub fn read_file(path: &Path) -> Result<Vec<u8>, ComponentError> {
    let metadata = fs::metadata(path)?;
    // A pipe or a device says that it is empty, and may never end.
    if !metadata.is_file() {
        return Err(ComponentError::NoFile);
    }
    if metadata.len() > COMPONENT_BYTES {
        return Err(ComponentError::TooLarge(metadata.len()));
    }
    Ok(fs::read(path)?)
}

/// The manifest in a component's bytes, if it has one.
///
/// # Errors
/// [`ComponentError`] when the bytes are no component, or the section is there twice or is no text.
pub fn read_manifest(bytes: &[u8]) -> Result<Option<String>, ComponentError> {
    inspect(bytes).map(|outside| outside.manifest)
}

/// Imports, exports and manifest of a component's bytes.
///
/// # Errors
/// [`ComponentError`] when the bytes are no component, or what they hold is beyond the limits.
pub fn inspect(bytes: &[u8]) -> Result<Outside, ComponentError> {
    let mut outside = Outside {
        size: bytes.len() as u64,
        ..Outside::default()
    };
    if !bytes.starts_with(b"\0asm") {
        return Err(ComponentError::NoWasm);
    }
    // Components nest: only what stands at depth 1 is the outside of this one.
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|error| malformed(&error))?;
        match payload {
            Payload::Version { encoding, .. } => {
                depth += 1;
                if depth == 1 && encoding == Encoding::Module {
                    return Err(ComponentError::CoreModule);
                }
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            // To the parser, the end of the file is as good an end of what is nested as its own.
            Payload::ModuleSection { unchecked_range, .. } | Payload::ComponentSection { unchecked_range, .. }
                if unchecked_range.end > bytes.len() =>
            {
                return Err(ComponentError::Malformed("it is cut off".to_owned()));
            }
            _ if depth != 1 => {}
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let import = import.map_err(|error| malformed(&error))?;
                    add(&mut outside.imports, import.name.0, import.ty.kind())?;
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let export = export.map_err(|error| malformed(&error))?;
                    add(&mut outside.exports, export.name.0, export.kind)?;
                }
            }
            Payload::CustomSection(section) if section.name() == MANIFEST_SECTION => {
                if outside.manifest.is_some() {
                    return Err(ComponentError::TwoManifests);
                }
                outside.manifest = Some(manifest_text(section.data())?);
            }
            _ => {}
        }
    }
    Ok(outside)
}

fn manifest_text(data: &[u8]) -> Result<String, ComponentError> {
    if data.len() as u64 > MANIFEST_BYTES {
        return Err(ComponentError::BadManifest("too large"));
    }
    String::from_utf8(data.to_vec()).map_err(|_| ComponentError::BadManifest("not UTF-8 text"))
}

fn malformed(error: &wasmparser::BinaryReaderError) -> ComponentError {
    ComponentError::Malformed(error.to_string())
}

fn add(items: &mut Vec<Item>, name: &str, kind: ComponentExternalKind) -> Result<(), ComponentError> {
    if items.len() >= COMPONENT_NAMES {
        return Err(ComponentError::TooManyNames);
    }
    if name.len() > COMPONENT_NAME_BYTES || name.chars().any(char::is_control) {
        return Err(ComponentError::BadName);
    }
    let kind = match kind {
        ComponentExternalKind::Module => "module",
        ComponentExternalKind::Func => "function",
        ComponentExternalKind::Value => "value",
        ComponentExternalKind::Type => "type",
        ComponentExternalKind::Instance => "instance",
        ComponentExternalKind::Component => "component",
    };
    items.push(Item {
        name: name.to_owned(),
        kind,
    });
    Ok(())
}

/// The component with the manifest's text in a section of its own at the end, so that one file, one digest and one
/// signature cover code and permissions.
///
/// # Errors
/// [`ComponentError`] when the bytes are no component, have a manifest already, or the text is too long.
pub fn embed_manifest(component: &[u8], manifest: &str) -> Result<Vec<u8>, ComponentError> {
    if manifest.len() as u64 > MANIFEST_BYTES {
        return Err(ComponentError::BadManifest("too large"));
    }
    if read_manifest(component)?.is_some() {
        return Err(ComponentError::TwoManifests);
    }
    let mut bytes = component.to_vec();
    let section = CustomSection {
        name: MANIFEST_SECTION.into(),
        data: manifest.as_bytes().into(),
    };
    bytes.push(0); // the id of a custom section, in modules and components alike
    section.encode(&mut bytes);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_encoder::{
        Component, ComponentExportSection, ComponentTypeRef, ComponentTypeSection, InstanceType, Module,
    };

    fn sample() -> Vec<u8> {
        let mut component = Component::new();
        let mut types = ComponentTypeSection::new();
        types.instance(&InstanceType::new());
        component.section(&types);
        let mut imports = wasm_encoder::ComponentImportSection::new();
        imports.import("encaje:host/log@0.1.0", ComponentTypeRef::Instance(0));
        component.section(&imports);
        // A module inside, with a section of the same name: it is not this component's manifest.
        let mut module = Module::new();
        module.section(&CustomSection {
            name: MANIFEST_SECTION.into(),
            data: b"inner".as_slice().into(),
        });
        component.section(&wasm_encoder::ModuleSection(&module));
        let mut exports = ComponentExportSection::new();
        exports.export(
            "encaje:common/lifecycle@0.1.0",
            wasm_encoder::ComponentExportKind::Instance,
            0,
            None,
        );
        component.section(&exports);
        component.finish()
    }

    #[test]
    fn the_manifest_comes_back_as_it_was_and_the_rest_stays() {
        let text = "name = \"uno\"\n# ¡hola!\n";
        let plain = sample();
        assert_eq!(read_manifest(&plain).unwrap(), None);
        let bytes = embed_manifest(&plain, text).unwrap();
        assert!(bytes.starts_with(&plain));
        let outside = inspect(&bytes).unwrap();
        assert_eq!(outside.manifest.as_deref(), Some(text));
        assert_eq!(
            outside.imports,
            [Item {
                name: "encaje:host/log@0.1.0".into(),
                kind: "instance"
            }]
        );
        assert_eq!(
            outside.exports,
            [Item {
                name: "encaje:common/lifecycle@0.1.0".into(),
                kind: "instance"
            }]
        );
        wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all())
            .validate_all(&bytes)
            .unwrap();
    }

    #[test]
    fn a_second_manifest_is_refused_on_both_sides() {
        let mut bytes = embed_manifest(&sample(), "a").unwrap();
        assert!(matches!(embed_manifest(&bytes, "b"), Err(ComponentError::TwoManifests)));
        bytes.push(0);
        CustomSection {
            name: MANIFEST_SECTION.into(),
            data: b"b".as_slice().into(),
        }
        .encode(&mut bytes);
        assert!(matches!(read_manifest(&bytes), Err(ComponentError::TwoManifests)));
    }

    #[test]
    fn names_that_could_rewrite_a_terminal_are_refused() {
        let importing = |name: &str| {
            let mut component = Component::new();
            let mut types = ComponentTypeSection::new();
            types.instance(&InstanceType::new());
            component.section(&types);
            let mut imports = wasm_encoder::ComponentImportSection::new();
            imports.import(name, ComponentTypeRef::Instance(0));
            component.section(&imports);
            inspect(&component.finish())
        };
        assert!(importing(&"n".repeat(COMPONENT_NAME_BYTES)).is_ok());
        for name in ["\u{1b}[2J", "a\nb", "\u{9b}K", &"n".repeat(COMPONENT_NAME_BYTES + 1)] {
            let error = importing(name).unwrap_err();
            assert!(matches!(error, ComponentError::BadName), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_told_once() {
        let error = anyhow::Error::from(read_file(Path::new("/none/such")).unwrap_err());
        assert_eq!(format!("{error:#}").matches("No such file").count(), 1, "{error:#}");
    }

    #[test]
    fn what_is_no_component_is_named() {
        assert!(matches!(
            inspect(&Module::new().finish()),
            Err(ComponentError::CoreModule)
        ));
        assert!(matches!(inspect(b"#!/bin/sh"), Err(ComponentError::NoWasm)));
        assert!(matches!(inspect(b""), Err(ComponentError::NoWasm)));
        let whole = embed_manifest(&sample(), "abc").unwrap();
        assert!(matches!(
            inspect(&whole[..whole.len() - 1]),
            Err(ComponentError::Malformed(_))
        ));
        // A file that ends behind the head of the module inside, where one of its sections could end too.
        let (plain, head) = (sample(), b"\0asm\x01\0\0\0");
        let inner = plain.windows(8).position(|bytes| bytes == head).unwrap() + 8;
        assert!(matches!(inspect(&plain[..inner]), Err(ComponentError::Malformed(_))));
        let long = "x".repeat(usize::try_from(MANIFEST_BYTES).unwrap() + 1);
        assert!(matches!(
            embed_manifest(&sample(), &long),
            Err(ComponentError::BadManifest("too large"))
        ));
    }
}
