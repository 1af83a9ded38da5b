//! What is generated from the WIT, and nothing else. The types of `encaje:common` and the imports of `encaje:host` are
//! generated once and the kinds map to them, so that a `ChatRequest` is one Rust type everywhere.
//!
//! A kind's world (`encaje:provider/plugin`) exports two interfaces, the lifecycle and its own. Each is generated as a
//! world of its own here, because the generated macros of two worlds that both export the lifecycle would collide where a
//! Cargo workspace builds plugins of several kinds against one copy of this crate. The linker joins them again.
#![allow(missing_docs, unused_qualifications, reason = "generated; the WIT holds the prose")]

wit_bindgen::generate!({
    path: ["../../wit/common", "../../wit/host"],
    world: "encaje:host/capabilities",
    generate_all,
});

/// `encaje:common/lifecycle`, which every plugin exports.
pub mod lifecycle {
    wit_bindgen::generate!({
        path: ["../../wit/common"],
        inline: "package encaje:sdk; world lifecycle-exports { export encaje:common/lifecycle@0.1.0; }",
        world: "encaje:sdk/lifecycle-exports",
        pub_export_macro: true,
        export_macro_name: "export_lifecycle_interface",
        default_bindings_module: "encaje_sdk::bindings::lifecycle",
        with: {
            "encaje:common/errors@0.1.0": super::encaje::common::errors,
        },
    });
}

/// `encaje:provider`.
#[cfg(feature = "provider")]
pub mod provider {
    wit_bindgen::generate!({
        path: ["../../wit/common", "../../wit/host", "../../wit/provider"],
        inline: "package encaje:sdk; world provider-exports { export encaje:provider/provider@0.1.0; }",
        world: "encaje:sdk/provider-exports",
        pub_export_macro: true,
        export_macro_name: "export_provider_interface",
        default_bindings_module: "encaje_sdk::bindings::provider",
        with: {
            "encaje:common/errors@0.1.0": super::encaje::common::errors,
            "encaje:common/chat@0.1.0": super::encaje::common::chat,
            "encaje:common/embeddings@0.1.0": super::encaje::common::embeddings,
        },
    });
}

/// `encaje:storage`.
#[cfg(feature = "storage")]
pub mod storage {
    wit_bindgen::generate!({
        path: ["../../wit/common", "../../wit/host", "../../wit/storage"],
        inline: "package encaje:sdk; world storage-exports { export encaje:storage/storage@0.1.0; }",
        world: "encaje:sdk/storage-exports",
        pub_export_macro: true,
        export_macro_name: "export_storage_interface",
        default_bindings_module: "encaje_sdk::bindings::storage",
        with: {
            "encaje:common/errors@0.1.0": super::encaje::common::errors,
            "encaje:common/values@0.1.0": super::encaje::common::values,
            "encaje:host/sql@0.1.0": super::encaje::host::sql,
        },
    });
}
