//! A source of completions, embeddings or rankings (`encaje:provider`): implement [`Provider`], then
//! [`export_provider!`](crate::export_provider). What a provider does not implement returns `unsupported`.

use std::cell::RefCell;
use std::marker::PhantomData;

use crate::bindings::lifecycle::exports::encaje::common::lifecycle;
use crate::bindings::provider::exports::encaje::provider::provider as exported;
use crate::chat::{ChatRequest, Chunk};
use crate::embeddings::{EmbedRequest, EmbedResponse, Ranked, RerankRequest};
use crate::errors::Problem;

pub use exported::ModelInfo;

/// What a provider plugin does.
pub trait Provider: 'static {
    /// Run once for each new generation, before any traffic: checks the configuration and returns what is offered, of
    /// `chat`, `embed`, `rerank` and `count-tokens`. The host calls only that.
    ///
    /// # Errors
    /// Whatever keeps the plugin from working; the old generation goes on serving.
    fn check() -> Result<Vec<String>, Problem>;

    /// The models that it knows by name.
    ///
    /// # Errors
    /// As the upstream's.
    fn models() -> Result<Vec<ModelInfo>, Problem>;

    /// Starts an answer.
    ///
    /// # Errors
    /// What keeps it from starting; what happens later comes from [`Completion::next`].
    fn complete(request: ChatRequest) -> Result<Box<dyn Completion>, Problem> {
        Err(Problem::unsupported(format!(
            "this plugin offers no completions (model `{}`)",
            request.model
        )))
    }

    /// Embeds each input.
    ///
    /// # Errors
    /// `unsupported` unless implemented.
    fn embed(request: EmbedRequest) -> Result<EmbedResponse, Problem> {
        Err(Problem::unsupported(format!(
            "this plugin offers no embeddings (model `{}`)",
            request.model
        )))
    }

    /// Ranks documents by a query, best first.
    ///
    /// # Errors
    /// `unsupported` unless implemented.
    fn rerank(request: RerankRequest) -> Result<Vec<Ranked>, Problem> {
        Err(Problem::unsupported(format!(
            "this plugin offers no rankings (model `{}`)",
            request.model
        )))
    }

    /// How many tokens the request's input is.
    ///
    /// # Errors
    /// `unsupported` unless implemented.
    fn count_tokens(request: ChatRequest) -> Result<u32, Problem> {
        Err(Problem::unsupported(format!(
            "this plugin counts no tokens (model `{}`)",
            request.model
        )))
    }
}

/// An answer under way. Dropped when it is over or when the caller has gone.
pub trait Completion: 'static {
    /// Waits for something to say. Several chunks may come at once, an empty list is "nothing yet"; `None` is the end,
    /// after which nothing is asked. Text is whole UTF-8 characters. Before the end: `finish` for each choice and `usage`
    /// once.
    ///
    /// # Errors
    /// Whatever ends the answer early.
    fn next(&mut self) -> Result<Option<Vec<Chunk>>, Problem>;
}

/// What [`export_provider!`](crate::export_provider) exports for a [`Provider`].
#[doc(hidden)]
#[derive(Debug)]
pub struct Exported<T>(PhantomData<T>);

impl<T: Provider> lifecycle::Guest for Exported<T> {
    fn check() -> Result<Vec<String>, Problem> {
        T::check()
    }
}

impl<T: Provider> exported::Guest for Exported<T> {
    type Completion = ExportedCompletion;

    fn models() -> Result<Vec<ModelInfo>, Problem> {
        T::models()
    }

    fn complete(request: ChatRequest) -> Result<exported::Completion, Problem> {
        T::complete(request).map(|completion| exported::Completion::new(ExportedCompletion(RefCell::new(completion))))
    }

    fn embed(request: EmbedRequest) -> Result<EmbedResponse, Problem> {
        T::embed(request)
    }

    fn rerank(request: RerankRequest) -> Result<Vec<Ranked>, Problem> {
        T::rerank(request)
    }

    fn count_tokens(request: ChatRequest) -> Result<u32, Problem> {
        T::count_tokens(request)
    }
}

/// The resource that the host pulls from.
#[doc(hidden)]
pub struct ExportedCompletion(RefCell<Box<dyn Completion>>);

impl exported::GuestCompletion for ExportedCompletion {
    fn next(&self) -> Result<Option<Vec<Chunk>>, Problem> {
        // A guest is never entered twice at once, so the borrow cannot fail; if it did, the call would, not the instance.
        match self.0.try_borrow_mut() {
            Ok(mut completion) => completion.next(),
            Err(_) => Err(Problem::internal("`next` was called while it was running")),
        }
    }
}

/// Exports a type that implements [`Provider`](crate::provider::Provider) as a plugin of the kind `provider`. Once a crate.
/// Outside WebAssembly it only checks the type, so that unit tests of the plugin link.
#[macro_export]
macro_rules! export_provider {
    ($plugin:ty) => {
        const _: () = {
            type EncajeExported = $crate::provider::Exported<$plugin>;
            const fn is_exportable<T: $crate::bindings::provider::exports::encaje::provider::provider::Guest>() {}
            is_exportable::<EncajeExported>();
            #[cfg(target_family = "wasm")]
            $crate::bindings::lifecycle::export_lifecycle_interface!(
                EncajeExported with_types_in $crate::bindings::lifecycle
            );
            #[cfg(target_family = "wasm")]
            $crate::bindings::provider::export_provider_interface!(
                EncajeExported with_types_in $crate::bindings::provider
            );
        };
    };
}
