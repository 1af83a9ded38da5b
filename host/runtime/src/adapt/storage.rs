//! The port `Storage` over a guest.

use async_trait::async_trait;
use encaje_bindings::storage::{Plugin as Guest, PluginPre as GuestPre};
use encaje_core::ports::Storage;
use encaje_core::storage::{Aggregation, Durability, Mutation, Page, Query, Table};
use encaje_core::{Call, Problem};
use wasmtime::Store;

use super::{answered, lacks};
use crate::convert::storage as convert;
use crate::limits;
use crate::plugin::{self, Plugin};
use crate::state::State;
use crate::visit::{Bindings, Visit};

impl Bindings for Guest {
    type Pre = GuestPre<State>;

    async fn instantiate(pre: &Self::Pre, store: &mut Store<State>) -> wasmtime::Result<Self> {
        pre.instantiate_async(store).await
    }
}

/// A storage plugin.
pub struct StoragePlugin {
    plugin: Plugin,
    pre: GuestPre<State>,
}

impl StoragePlugin {
    /// Takes a loaded plugin for a storage, and runs its check.
    ///
    /// # Errors
    /// `Misconfigured` when the component is no storage; the check's own problem.
    pub async fn start(plugin: Plugin) -> Result<Self, Problem> {
        let pre = GuestPre::new(plugin.pre().clone()).map_err(|error| lacks(plugin.name(), "storage", &error))?;
        let call = Call::of_server(limits::CHECK);
        let mut visit = plugin.visit::<Guest>(&call, &pre, "check", limits::CHECK).await?;
        let said = visit
            .call(async |store, guest| guest.encaje_common_lifecycle().call_check(store).await)
            .await?;
        plugin::offers(answered!(visit, said)?)?;
        drop(visit);
        Ok(Self { plugin, pre })
    }

    /// The plugin beneath.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    async fn visit(&self, call: &Call, function: &'static str) -> Result<Visit<Guest>, Problem> {
        self.plugin
            .visit::<Guest>(call, &self.pre, function, self.plugin.limits.wall)
            .await
    }
}

#[async_trait]
impl Storage for StoragePlugin {
    fn name(&self) -> &str {
        self.plugin.name()
    }

    async fn migrate(&self, call: &Call, tables: &[Table]) -> Result<Vec<String>, Problem> {
        let mut visit = self.visit(call, "migrate").await?;
        let tables: Vec<_> = tables.iter().map(convert::table_to_guest).collect();
        let said = visit
            .call(async |store, guest| guest.encaje_storage_storage().call_migrate(store, &tables).await)
            .await?;
        answered!(visit, said)
    }

    async fn write(&self, call: &Call, batch: &[Mutation], durability: Durability) -> Result<Vec<u64>, Problem> {
        let mut visit = self.visit(call, "write").await?;
        let batch: Vec<_> = batch.iter().map(convert::mutation_to_guest).collect();
        let durability = convert::durability_to_guest(durability);
        let said = visit
            .call(async |store, guest| {
                guest
                    .encaje_storage_storage()
                    .call_write(store, &batch, durability)
                    .await
            })
            .await?;
        answered!(visit, said)
    }

    async fn read(&self, call: &Call, query: &Query) -> Result<Page, Problem> {
        let mut visit = self.visit(call, "read").await?;
        let query = convert::query_to_guest(query);
        let said = visit
            .call(async |store, guest| guest.encaje_storage_storage().call_read(store, &query).await)
            .await?;
        Ok(convert::page_to_core(answered!(visit, said)?))
    }

    async fn aggregate(&self, call: &Call, aggregation: &Aggregation) -> Result<Page, Problem> {
        let mut visit = self.visit(call, "aggregate").await?;
        let aggregation = convert::aggregation_to_guest(aggregation);
        let said = visit
            .call(async |store, guest| guest.encaje_storage_storage().call_aggregate(store, &aggregation).await)
            .await?;
        Ok(convert::page_to_core(answered!(visit, said)?))
    }

    async fn scrub(&self, call: &Call) -> Result<(), Problem> {
        let mut visit = self.visit(call, "scrub").await?;
        let said = visit
            .call(async |store, guest| guest.encaje_storage_storage().call_scrub(store).await)
            .await?;
        answered!(visit, said)
    }
}
