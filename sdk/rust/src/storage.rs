//! Where the host keeps its tables (`encaje:storage`): implement [`Storage`], then
//! [`export_storage!`](crate::export_storage). What a storage plugin does not implement returns `unsupported`.

use std::marker::PhantomData;

use crate::bindings::lifecycle::exports::encaje::common::lifecycle;
use crate::bindings::storage::exports::encaje::storage::storage as exported;
use crate::errors::Problem;

pub use crate::host::sql::Durability;
pub use exported::{
    Aggregation, Assignment, Column, ColumnType, Grouping, Index, Measure, Mutation, Order, Page, Query, Remove,
    Statistic, Table, Update,
};

/// What a storage plugin does. The meaning of each call is the WIT's.
pub trait Storage: 'static {
    /// Run once for each new generation, before any traffic: checks the configuration and that the store can be reached,
    /// and returns what is offered, of `write`, `read`, `aggregate` and `scrub`.
    ///
    /// # Errors
    /// Whatever keeps the plugin from working; the old generation goes on serving.
    fn check() -> Result<Vec<String>, Problem>;

    /// Brings the store to these tables and says in words what it changed. Idempotent.
    ///
    /// # Errors
    /// `conflict` where the store holds something else under the same name; nothing is dropped or retyped.
    fn migrate(tables: Vec<Table>) -> Result<Vec<String>, Problem>;

    /// Applies the batch as one transaction; returns the rows that each mutation touched.
    ///
    /// # Errors
    /// `conflict` where a guard did not hold; then nothing of the batch was done.
    fn write(batch: Vec<Mutation>, durability: Durability) -> Result<Vec<u64>, Problem>;

    /// One page of rows.
    ///
    /// # Errors
    /// `invalid-request` for what the table does not have, and for a cursor of another query.
    fn read(query: Query) -> Result<Page, Problem>;

    /// Statistics of groups of rows.
    ///
    /// # Errors
    /// `unsupported` unless implemented.
    fn aggregate(aggregation: Aggregation) -> Result<Page, Problem> {
        Err(Problem::unsupported(format!(
            "this store computes no statistics (table `{}`)",
            aggregation.table
        )))
    }

    /// Removes every byte of what was deleted from every file of the store.
    ///
    /// # Errors
    /// `unsupported` unless implemented.
    fn scrub() -> Result<(), Problem> {
        Err(Problem::unsupported("this store cannot scrub what was deleted"))
    }
}

/// What [`export_storage!`](crate::export_storage) exports for a [`Storage`].
#[doc(hidden)]
#[derive(Debug)]
pub struct Exported<T>(PhantomData<T>);

impl<T: Storage> lifecycle::Guest for Exported<T> {
    fn check() -> Result<Vec<String>, Problem> {
        T::check()
    }
}

impl<T: Storage> exported::Guest for Exported<T> {
    fn migrate(tables: Vec<Table>) -> Result<Vec<String>, Problem> {
        T::migrate(tables)
    }

    fn write(batch: Vec<Mutation>, durability: Durability) -> Result<Vec<u64>, Problem> {
        T::write(batch, durability)
    }

    fn read(query: Query) -> Result<Page, Problem> {
        T::read(query)
    }

    fn aggregate(aggregation: Aggregation) -> Result<Page, Problem> {
        T::aggregate(aggregation)
    }

    fn scrub() -> Result<(), Problem> {
        T::scrub()
    }
}

/// Exports a type that implements [`Storage`](crate::storage::Storage) as a plugin of the kind `storage`. Once a crate.
/// Outside WebAssembly it only checks the type, so that unit tests of the plugin link.
#[macro_export]
macro_rules! export_storage {
    ($plugin:ty) => {
        const _: () = {
            type EncajeExported = $crate::storage::Exported<$plugin>;
            const fn is_exportable<T: $crate::bindings::storage::exports::encaje::storage::storage::Guest>() {}
            is_exportable::<EncajeExported>();
            #[cfg(target_family = "wasm")]
            $crate::bindings::lifecycle::export_lifecycle_interface!(
                EncajeExported with_types_in $crate::bindings::lifecycle
            );
            #[cfg(target_family = "wasm")]
            $crate::bindings::storage::export_storage_interface!(
                EncajeExported with_types_in $crate::bindings::storage
            );
        };
    };
}
