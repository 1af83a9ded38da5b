//! Tables, writes, queries and pages.

use encaje_bindings::base::encaje::host::sql::Durability as GuestDurability;
use encaje_bindings::storage::exports::encaje::storage::storage as guest;
use encaje_core::storage::{
    Aggregation, Assignment, ColumnType, Durability, Grouping, Measure, Mutation, Order, Page, Query, Statistic, Table,
};

use super::value;

pub(crate) fn durability_to_guest(durability: Durability) -> GuestDurability {
    match durability {
        Durability::Process => GuestDurability::Process,
        Durability::Disk => GuestDurability::Disk,
    }
}

pub(crate) fn durability_to_core(durability: GuestDurability) -> Durability {
    match durability {
        GuestDurability::Process => Durability::Process,
        GuestDurability::Disk => Durability::Disk,
    }
}

pub(crate) fn table_to_guest(table: &Table) -> guest::Table {
    guest::Table {
        name: table.name.clone(),
        columns: table
            .columns
            .iter()
            .map(|column| guest::Column {
                name: column.name.clone(),
                of: match column.of {
                    ColumnType::Boolean => guest::ColumnType::Boolean,
                    ColumnType::Integer => guest::ColumnType::Integer,
                    ColumnType::Real => guest::ColumnType::Real,
                    ColumnType::Text => guest::ColumnType::Text,
                    ColumnType::Blob => guest::ColumnType::Blob,
                    ColumnType::Json => guest::ColumnType::Json,
                    ColumnType::TimeUs => guest::ColumnType::TimeUs,
                    ColumnType::MoneyNano => guest::ColumnType::MoneyNano,
                },
                required: column.required,
                default_value: column.default_value.as_ref().map(value::to_guest),
            })
            .collect(),
        key: table.key.clone(),
        indexes: table
            .indexes
            .iter()
            .map(|index| guest::Index {
                columns: index.columns.clone(),
                unique: index.unique,
                text: index.text,
            })
            .collect(),
    }
}

pub(crate) fn mutation_to_guest(mutation: &Mutation) -> guest::Mutation {
    match mutation {
        Mutation::Upsert(table, fields) => guest::Mutation::Upsert((table.clone(), value::fields_to_guest(fields))),
        Mutation::Insert(table, fields) => guest::Mutation::Insert((table.clone(), value::fields_to_guest(fields))),
        Mutation::Update(update) => guest::Mutation::Update(guest::Update {
            table: update.table.clone(),
            where_: value::filter_to_guest(&update.filter),
            set: update
                .set
                .iter()
                .map(|(name, assignment)| {
                    let assignment = match assignment {
                        Assignment::Set(to) => guest::Assignment::Set(value::to_guest(to)),
                        Assignment::Add(amount) => guest::Assignment::Add(*amount),
                    };
                    (name.clone(), assignment)
                })
                .collect(),
            expected_rows: update.expected_rows,
        }),
        Mutation::Remove(remove) => guest::Mutation::Remove(guest::Remove {
            table: remove.table.clone(),
            where_: value::filter_to_guest(&remove.filter),
            expected_rows: remove.expected_rows,
        }),
    }
}

pub(crate) fn query_to_guest(query: &Query) -> guest::Query {
    guest::Query {
        table: query.table.clone(),
        columns: query.columns.clone(),
        where_: value::filter_to_guest(&query.filter),
        order: orders_to_guest(&query.order),
        limit: query.limit,
        cursor: query.cursor.clone(),
    }
}

fn orders_to_guest(orders: &[Order]) -> Vec<guest::Order> {
    orders
        .iter()
        .map(|order| guest::Order {
            field: order.field.clone(),
            descending: order.descending,
        })
        .collect()
}

pub(crate) fn aggregation_to_guest(aggregation: &Aggregation) -> guest::Aggregation {
    guest::Aggregation {
        table: aggregation.table.clone(),
        where_: value::filter_to_guest(&aggregation.filter),
        measures: aggregation.measures.iter().map(measure_to_guest).collect(),
        by: aggregation
            .by
            .iter()
            .map(|grouping| match grouping {
                Grouping::Field(field) => guest::Grouping::Field(field.clone()),
                Grouping::TimeBucket(field, width) => guest::Grouping::TimeBucket((field.clone(), *width)),
            })
            .collect(),
        order: orders_to_guest(&aggregation.order),
        limit: aggregation.limit,
    }
}

fn measure_to_guest(measure: &Measure) -> guest::Measure {
    guest::Measure {
        statistic: match measure.statistic {
            Statistic::Count => guest::Statistic::Count,
            Statistic::Sum => guest::Statistic::Sum,
            Statistic::Avg => guest::Statistic::Avg,
            Statistic::Min => guest::Statistic::Min,
            Statistic::Max => guest::Statistic::Max,
            Statistic::Quantile => guest::Statistic::Quantile,
        },
        field: measure.field.clone(),
        quantile: measure.quantile,
    }
}

pub(crate) fn page_to_core(page: guest::Page) -> Page {
    Page {
        columns: page.columns,
        rows: page
            .rows
            .into_iter()
            .map(|row| row.into_iter().map(value::to_core).collect())
            .collect(),
        next: page.next,
    }
}
