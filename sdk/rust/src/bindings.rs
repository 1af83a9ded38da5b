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

/// `encaje:common/documents`: types alone, which the host's capabilities do not name.
#[cfg(any(feature = "evaluator", feature = "retriever", feature = "source"))]
pub mod documents {
    wit_bindgen::generate!({
        path: ["../../wit/common"],
        inline: "package encaje:sdk; world documents-types { import encaje:common/documents@0.1.0; }",
        world: "encaje:sdk/documents-types",
        generate_all,
        generate_unused_types: true,
        with: {
            "encaje:common/errors@0.1.0": super::encaje::common::errors,
            "encaje:common/values@0.1.0": super::encaje::common::values,
        },
    });
}

/// `encaje:common/telemetry`: types alone, which the host's capabilities do not name.
#[cfg(any(feature = "evaluator", feature = "instrumentor"))]
pub mod telemetry {
    wit_bindgen::generate!({
        path: ["../../wit/common"],
        inline: "package encaje:sdk; world telemetry-types { import encaje:common/telemetry@0.1.0; }",
        world: "encaje:sdk/telemetry-types",
        generate_all,
        generate_unused_types: true,
        with: {
            "encaje:common/errors@0.1.0": super::encaje::common::errors,
            "encaje:common/values@0.1.0": super::encaje::common::values,
            "encaje:common/chat@0.1.0": super::encaje::common::chat,
        },
    });
}

/// `encaje:evaluator`.
#[cfg(feature = "evaluator")]
pub mod evaluator {
    wit_bindgen::generate!({
        path: ["../../wit/common", "../../wit/host", "../../wit/evaluator"],
        inline: "package encaje:sdk; world evaluator-exports { export encaje:evaluator/evaluator@0.1.0; }",
        world: "encaje:sdk/evaluator-exports",
        pub_export_macro: true,
        export_macro_name: "export_evaluator_interface",
        default_bindings_module: "encaje_sdk::bindings::evaluator",
        with: {
            "encaje:common/errors@0.1.0": super::encaje::common::errors,
            "encaje:common/chat@0.1.0": super::encaje::common::chat,
            "encaje:common/values@0.1.0": super::encaje::common::values,
            "encaje:common/documents@0.1.0": super::documents::encaje::common::documents,
            "encaje:common/telemetry@0.1.0": super::telemetry::encaje::common::telemetry,
        },
    });
}

/// `encaje:instrumentor`.
#[cfg(feature = "instrumentor")]
pub mod instrumentor {
    wit_bindgen::generate!({
        path: ["../../wit/common", "../../wit/host", "../../wit/instrumentor"],
        inline: "package encaje:sdk; world instrumentor-exports { export encaje:instrumentor/instrumentor@0.1.0; }",
        world: "encaje:sdk/instrumentor-exports",
        pub_export_macro: true,
        export_macro_name: "export_instrumentor_interface",
        default_bindings_module: "encaje_sdk::bindings::instrumentor",
        with: {
            "encaje:common/errors@0.1.0": super::encaje::common::errors,
            "encaje:common/chat@0.1.0": super::encaje::common::chat,
            "encaje:common/values@0.1.0": super::encaje::common::values,
            "encaje:common/telemetry@0.1.0": super::telemetry::encaje::common::telemetry,
        },
    });
}

/// `encaje:retriever`.
#[cfg(feature = "retriever")]
pub mod retriever {
    wit_bindgen::generate!({
        path: ["../../wit/common", "../../wit/host", "../../wit/retriever"],
        inline: "package encaje:sdk; world retriever-exports { export encaje:retriever/retriever@0.1.0; }",
        world: "encaje:sdk/retriever-exports",
        pub_export_macro: true,
        export_macro_name: "export_retriever_interface",
        default_bindings_module: "encaje_sdk::bindings::retriever",
        with: {
            "encaje:common/errors@0.1.0": super::encaje::common::errors,
            "encaje:common/values@0.1.0": super::encaje::common::values,
            "encaje:common/documents@0.1.0": super::documents::encaje::common::documents,
        },
    });
}

/// `encaje:source`.
#[cfg(feature = "source")]
pub mod source {
    wit_bindgen::generate!({
        path: ["../../wit/common", "../../wit/host", "../../wit/source"],
        inline: "package encaje:sdk; world source-exports { export encaje:source/source@0.1.0; }",
        world: "encaje:sdk/source-exports",
        pub_export_macro: true,
        export_macro_name: "export_source_interface",
        default_bindings_module: "encaje_sdk::bindings::source",
        with: {
            "encaje:common/errors@0.1.0": super::encaje::common::errors,
            "encaje:common/values@0.1.0": super::encaje::common::values,
            "encaje:common/documents@0.1.0": super::documents::encaje::common::documents,
        },
    });
}
