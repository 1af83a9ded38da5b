//! The port `Storage` over a guest.

use async_trait::async_trait;
use encaje_bindings::storage::{Plugin as Guest, PluginPre as GuestPre};
use encaje_core::ports::Storage;
use encaje_core::storage::{Aggregation, Durability, Mutation, Page, Query, Table};
use encaje_core::{Call, Problem};

use super::{adapter, answered, bindings};
use crate::convert::storage as convert;

bindings!(Guest, GuestPre);

adapter! {
    /// A storage plugin.
    StoragePlugin, "storage", Guest
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
        let answer = answered!(visit, said);
        visit.done();
        answer
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
        let answer = answered!(visit, said);
        visit.done();
        answer
    }

    async fn read(&self, call: &Call, query: &Query) -> Result<Page, Problem> {
        let mut visit = self.visit(call, "read").await?;
        let query = convert::query_to_guest(query);
        let said = visit
            .call(async |store, guest| guest.encaje_storage_storage().call_read(store, &query).await)
            .await?;
        let page = answered!(visit, said);
        visit.done();
        page.map(convert::page_to_core)
    }

    async fn aggregate(&self, call: &Call, aggregation: &Aggregation) -> Result<Page, Problem> {
        let mut visit = self.visit(call, "aggregate").await?;
        let aggregation = convert::aggregation_to_guest(aggregation);
        let said = visit
            .call(async |store, guest| guest.encaje_storage_storage().call_aggregate(store, &aggregation).await)
            .await?;
        let page = answered!(visit, said);
        visit.done();
        page.map(convert::page_to_core)
    }

    async fn scrub(&self, call: &Call) -> Result<(), Problem> {
        let mut visit = self.visit(call, "scrub").await?;
        let said = visit
            .call(async |store, guest| guest.encaje_storage_storage().call_scrub(store).await)
            .await?;
        let answer = answered!(visit, said);
        visit.done();
        answer
    }
}
