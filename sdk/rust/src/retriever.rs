//! Finds passages for a question (`encaje:retriever`): implement [`Retriever`] and [`Collection`], then
//! [`export_retriever!`](crate::export_retriever). What a collection does not implement returns `unsupported`.

use std::cell::RefCell;
use std::marker::PhantomData;

use crate::bindings::lifecycle::exports::encaje::common::lifecycle;
use crate::bindings::retriever::exports::encaje::retriever::retriever as exported;
use crate::errors::Problem;
use crate::values::Filter;

pub use crate::documents::{Document, Passage};
pub use exported::{CollectionStats, Found, Hit, Origin, Query, Upserted};

/// What a retriever plugin does. The meaning of each call is the WIT's.
pub trait Retriever: 'static {
    /// Run once for each new generation, before any traffic: checks the configuration and the grants, and returns what is
    /// offered, of `upsert`, `remove`, `retrieve` and `stats`.
    ///
    /// # Errors
    /// Whatever keeps the plugin from working; the old generation goes on serving.
    fn check() -> Result<Vec<String>, Problem>;

    /// Opens a collection of the caller's tenant, and makes it where there is none; `spec` is JSON of the plugin's own.
    ///
    /// # Errors
    /// `conflict` where the collection was made with a spec that does not go with it.
    fn open(name: String, spec: String) -> Result<Box<dyn Collection>, Problem>;
}

/// An open collection. Dropping it closes it; what was written stays.
pub trait Collection: 'static {
    /// Indexes documents; the same one again changes nothing.
    ///
    /// # Errors
    /// `unsupported` unless implemented.
    fn upsert(&mut self, documents: Vec<Document>) -> Result<Upserted, Problem> {
        let documents = documents.len();
        Err(Problem::unsupported(format!(
            "this collection is read only ({documents} documents were offered)"
        )))
    }

    /// Removes the documents that match; returns how many.
    ///
    /// # Errors
    /// `unsupported` unless implemented.
    fn remove(&mut self, _filter: Filter) -> Result<u64, Problem> {
        Err(Problem::unsupported("this collection is read only"))
    }

    /// Searches.
    ///
    /// # Errors
    /// `invalid-request` for a filter over what the documents do not have.
    fn retrieve(&mut self, query: Query) -> Result<Found, Problem>;

    /// Counts what there is.
    ///
    /// # Errors
    /// `unsupported` unless implemented.
    fn stats(&mut self) -> Result<CollectionStats, Problem> {
        Err(Problem::unsupported("this collection does not count what it holds"))
    }
}

/// What [`export_retriever!`](crate::export_retriever) exports for a [`Retriever`].
#[doc(hidden)]
#[derive(Debug)]
pub struct Exported<T>(PhantomData<T>);

impl<T: Retriever> lifecycle::Guest for Exported<T> {
    fn check() -> Result<Vec<String>, Problem> {
        T::check()
    }
}

impl<T: Retriever> exported::Guest for Exported<T> {
    type Collection = ExportedCollection;

    fn open(name: String, spec: String) -> Result<exported::Collection, Problem> {
        T::open(name, spec).map(|collection| exported::Collection::new(ExportedCollection(RefCell::new(collection))))
    }
}

/// The resource that the host holds.
#[doc(hidden)]
pub struct ExportedCollection(RefCell<Box<dyn Collection>>);

impl exported::GuestCollection for ExportedCollection {
    fn upsert(&self, documents: Vec<Document>) -> Result<Upserted, Problem> {
        self.0.try_borrow_mut().map_err(|_| busy())?.upsert(documents)
    }

    fn remove(&self, filter: Filter) -> Result<u64, Problem> {
        self.0.try_borrow_mut().map_err(|_| busy())?.remove(filter)
    }

    fn retrieve(&self, query: Query) -> Result<Found, Problem> {
        self.0.try_borrow_mut().map_err(|_| busy())?.retrieve(query)
    }

    fn stats(&self) -> Result<CollectionStats, Problem> {
        self.0.try_borrow_mut().map_err(|_| busy())?.stats()
    }
}

/// A guest is never entered twice at once, so this cannot happen; if it did, the call would fail, not the instance.
fn busy() -> Problem {
    Problem::internal("a collection was called while it was running")
}

/// Exports a type that implements [`Retriever`](crate::retriever::Retriever) as a plugin of the kind `retriever`. Once a crate.
/// Outside WebAssembly it only checks the type, so that unit tests of the plugin link.
#[macro_export]
macro_rules! export_retriever {
    ($plugin:ty) => {
        const _: () = {
            type EncajeExported = $crate::retriever::Exported<$plugin>;
            const fn is_exportable<T: $crate::bindings::retriever::exports::encaje::retriever::retriever::Guest>() {}
            is_exportable::<EncajeExported>();
            #[cfg(target_family = "wasm")]
            $crate::bindings::lifecycle::export_lifecycle_interface!(
                EncajeExported with_types_in $crate::bindings::lifecycle
            );
            #[cfg(target_family = "wasm")]
            $crate::bindings::retriever::export_retriever_interface!(
                EncajeExported with_types_in $crate::bindings::retriever
            );
        };
    };
}
