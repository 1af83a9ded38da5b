//! Brings documents in (`encaje:source`): implement [`Source`], then [`export_source!`](crate::export_source). The host
//! walks, queues, retries and remembers; a source fetches and reads one item.

use std::marker::PhantomData;

use crate::bindings::lifecycle::exports::encaje::common::lifecycle;
use crate::bindings::source::exports::encaje::source::source as exported;
use crate::errors::Problem;

pub use crate::documents::Document;
pub use exported::{Beginning, Item, Link};

/// What a source plugin does. The meaning of each call is the WIT's.
pub trait Source: 'static {
    /// Run once for each new generation, before any traffic: checks the configuration and returns what is offered, of
    /// `begin` and `fetch`.
    ///
    /// # Errors
    /// Whatever keeps the plugin from working; the old generation goes on serving.
    fn check() -> Result<Vec<String>, Problem>;

    /// Where to begin. Unless implemented: with the location itself, without a wait.
    ///
    /// # Errors
    /// `not-found` where there is nothing, `denied` where the rules forbid all of it.
    fn begin(location: String) -> Result<Beginning, Problem> {
        Ok(Beginning {
            locations: vec![location],
            delay_ms: 0,
            extra: Vec::new(),
        })
    }

    /// Fetches and reads one item; `state` is the JSON that the last fetch of it returned.
    ///
    /// # Errors
    /// `denied` where the rules forbid it, `not-found` where it is gone, `unsupported` for content that it cannot read.
    /// `rate-limited`, `overloaded`, `unavailable` and `timeout` are tried again later.
    fn fetch(location: String, state: Option<String>) -> Result<Item, Problem>;
}

/// What [`export_source!`](crate::export_source) exports for a [`Source`].
#[doc(hidden)]
#[derive(Debug)]
pub struct Exported<T>(PhantomData<T>);

impl<T: Source> lifecycle::Guest for Exported<T> {
    fn check() -> Result<Vec<String>, Problem> {
        T::check()
    }
}

impl<T: Source> exported::Guest for Exported<T> {
    fn begin(location: String) -> Result<Beginning, Problem> {
        T::begin(location)
    }

    fn fetch(location: String, state: Option<String>) -> Result<Item, Problem> {
        T::fetch(location, state)
    }
}

/// Exports a type that implements [`Source`](crate::source::Source) as a plugin of the kind `source`. Once a crate.
/// Outside WebAssembly it only checks the type, so that unit tests of the plugin link.
#[macro_export]
macro_rules! export_source {
    ($plugin:ty) => {
        const _: () = {
            type EncajeExported = $crate::source::Exported<$plugin>;
            const fn is_exportable<T: $crate::bindings::source::exports::encaje::source::source::Guest>() {}
            is_exportable::<EncajeExported>();
            #[cfg(target_family = "wasm")]
            $crate::bindings::lifecycle::export_lifecycle_interface!(
                EncajeExported with_types_in $crate::bindings::lifecycle
            );
            #[cfg(target_family = "wasm")]
            $crate::bindings::source::export_source_interface!(
                EncajeExported with_types_in $crate::bindings::source
            );
        };
    };
}
