//! The storage suite: migrations, writes with their guards, reads with their cursors, figures of groups. What a store looks
//! like inside, and what it does when the machine dies, cannot be seen through the port and is not judged.

mod aggregate;
mod fixture;
mod migrate;
mod read;
mod write;

use std::sync::Arc;

use encaje_core::ports::Storage;
use encaje_core::trace::PluginKind;

use crate::report::Report;
use crate::run::Suite;
use crate::settings::Settings;

/// Judges a storage. `make` gives a fresh and empty store each time; random cases take one each.
pub async fn storage(make: impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) -> Report {
    let name = make().await.name().to_owned();
    let mut suite = Suite::new(&name, PluginKind::Storage, settings);
    migrations(&mut suite, &make, settings).await;
    writes(&mut suite, &make, settings).await;
    reads(&mut suite, &make, settings).await;
    figures(&mut suite, &make, settings).await;
    suite.finish()
}

async fn migrations(suite: &mut Suite<'_>, make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) {
    let name = "a migration says what it made, and the second one changes nothing";
    suite.check(name, Box::pin(migrate::idempotent(make, settings))).await;
    let name = "a migration adds tables and columns, and keeps the rows that were there";
    suite.check(name, Box::pin(migrate::additive(make, settings))).await;
    let name = "a migration that would retype a column is a conflict and changes nothing";
    suite.check(name, Box::pin(migrate::retyped(make, settings))).await;
    let name = "a table that is declared wrongly is refused";
    suite.check(name, Box::pin(migrate::malformed(make, settings))).await;
    let name = "scrub keeps what was not removed";
    suite.check(name, Box::pin(migrate::scrubbed(make, settings))).await;
}

async fn writes(suite: &mut Suite<'_>, make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) {
    let name = "values of every type come back as they went";
    suite.check(name, Box::pin(write::round_trip(make, settings))).await;
    let name = "both durabilities are accepted";
    suite.check(name, Box::pin(write::durabilities(make, settings))).await;
    let name = "an upsert keeps the columns that it does not name";
    suite.check(name, Box::pin(write::upserts(make, settings))).await;
    let name = "an insert of a key that exists is a conflict and undoes the whole batch";
    suite.check(name, Box::pin(write::inserts(make, settings))).await;
    let name = "a unique index admits no second row, and nulls agree with nothing";
    suite.check(name, Box::pin(write::unique(make, settings))).await;
    let name = "an update whose guard does not hold undoes the whole batch";
    suite.check(name, Box::pin(write::guarded_update(make, settings))).await;
    let name = "a removal whose guard does not hold undoes the whole batch";
    suite
        .check(name, Box::pin(write::guarded_removal(make, settings)))
        .await;
    let name = "an update sets and adds, and null counts as zero";
    suite.check(name, Box::pin(write::adds(make, settings))).await;
    let name = "each mutation tells how many rows it touched";
    suite.check(name, Box::pin(write::counts(make, settings))).await;
    let name = "a removal takes the rows that match and no other";
    suite.check(name, Box::pin(write::removals(make, settings))).await;
    let name = "an update changes the rows that match and no other";
    suite.check(name, Box::pin(write::updates(make, settings))).await;
    let name = "a row that does not fit its table is refused and undoes the whole batch";
    suite.check(name, Box::pin(write::misfits(make, settings))).await;
    let name = "names and values that look like a query are only names and values";
    suite.check(name, Box::pin(write::injections(make, settings))).await;
    let name = "writes at once lose nothing";
    suite.check(name, Box::pin(write::at_once(make, settings))).await;
}

async fn reads(suite: &mut Suite<'_>, make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) {
    let name = "pages joined are the rows that match, in order, for every comparator";
    suite.check(name, Box::pin(read::pages(make, settings))).await;
    let name = "null is less than everything, and a comparison with it does not hold";
    suite.check(name, Box::pin(read::nulls(make, settings))).await;
    let name = "the key breaks ties of the order";
    suite.check(name, Box::pin(read::ties(make, settings))).await;
    let name = "a cursor shows what stays once, while rows come and go";
    suite.check(name, Box::pin(read::stable(make, settings))).await;
    let name = "a foreign cursor is refused";
    suite.check(name, Box::pin(read::foreign_cursors(make, settings))).await;
    let name = "a read gives at most as many rows as asked for, and says where the next are";
    suite.check(name, Box::pin(read::limits(make, settings))).await;
    let name = "no columns asked for are all columns, in the table's order";
    suite.check(name, Box::pin(read::all_columns(make, settings))).await;
    let name = "a read of what the table does not have is refused";
    suite.check(name, Box::pin(read::unknown(make, settings))).await;
    let name = "a text search finds the rows that have every word";
    suite.check(name, Box::pin(read::text_search(make, settings))).await;
}

async fn figures(suite: &mut Suite<'_>, make: &impl AsyncFn() -> Arc<dyn Storage>, settings: &Settings) {
    let name = "figures are those of the groups, for every statistic";
    suite.check(name, Box::pin(aggregate::figures(make, settings))).await;
    let name = "time buckets start at multiples of their width, before 1970 too";
    suite.check(name, Box::pin(aggregate::buckets(make, settings))).await;
    let name = "nothing has a count of nought and no sum";
    suite.check(name, Box::pin(aggregate::nothing(make, settings))).await;
    let name = "groups come in the order asked for, at most as many as asked for";
    suite.check(name, Box::pin(aggregate::ordered(make, settings))).await;
    let name = "figures of what the table does not have are refused";
    suite.check(name, Box::pin(aggregate::unknown(make, settings))).await;
}
