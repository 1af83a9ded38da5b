//! The tables, as data. A storage plugin makes real ones of them and never interprets their meaning.
//!
//! Only tables that this version writes stand here; later ones are added, nothing is ever dropped or retyped. Every key
//! begins with the tenant: a trace id can come from a client, and no tenant's may meet another's.

use crate::storage::{Column, ColumnType, Index, Table};

/// All tables of this version.
pub fn tables() -> Vec<Table> {
    vec![spans(), messages(), scores()]
}

/// One row a span. Roots (`root`) are calls and carry what lists show; a group commit is a root of the server's own
/// tenant, and the calls that it wrote name its trace in `commit_id`.
fn spans() -> Table {
    Table {
        name: "spans".to_owned(),
        columns: vec![
            required("tenant", ColumnType::Text),
            required("trace_id", ColumnType::Text),
            required("span_id", ColumnType::Text),
            optional("parent_span_id", ColumnType::Text),
            required("root", ColumnType::Boolean),
            required("name", ColumnType::Text),
            required("start_us", ColumnType::TimeUs),
            required("end_us", ColumnType::TimeUs),
            required("status", ColumnType::Text),
            optional("status_message", ColumnType::Text),
            required("attributes", ColumnType::Json),
            optional("operation", ColumnType::Text),
            optional("model", ColumnType::Text),
            optional("plugin", ColumnType::Text),
            optional("input_tokens", ColumnType::Integer),
            optional("output_tokens", ColumnType::Integer),
            optional("first_chunk_us", ColumnType::Integer),
            optional("user_id", ColumnType::Text),
            optional("session_id", ColumnType::Text),
            optional("request_id", ColumnType::Text),
            optional("commit_id", ColumnType::Text),
        ],
        key: names(&["tenant", "trace_id", "span_id"]),
        indexes: vec![index(&["tenant", "root", "start_us"])],
    }
}

/// One row a message, in the order of the conversation: what was asked, then what was answered.
fn messages() -> Table {
    Table {
        name: "messages".to_owned(),
        columns: vec![
            required("tenant", ColumnType::Text),
            required("trace_id", ColumnType::Text),
            required("span_id", ColumnType::Text),
            required("position", ColumnType::Integer),
            required("direction", ColumnType::Text),
            required("role", ColumnType::Text),
            optional("choice", ColumnType::Integer),
            required("content", ColumnType::Json),
            optional("finish", ColumnType::Text),
        ],
        key: names(&["tenant", "trace_id", "span_id", "position"]),
        indexes: Vec::new(),
    }
}

/// One row a score of a call's answer: from an instrument, later from people and evaluators. `source` says who gave it.
fn scores() -> Table {
    Table {
        name: "scores".to_owned(),
        columns: vec![
            required("tenant", ColumnType::Text),
            required("trace_id", ColumnType::Text),
            required("span_id", ColumnType::Text),
            required("source", ColumnType::Text),
            required("name", ColumnType::Text),
            required("at_us", ColumnType::TimeUs),
            optional("value", ColumnType::Real),
            optional("label", ColumnType::Text),
            optional("explanation", ColumnType::Text),
        ],
        key: names(&["tenant", "trace_id", "span_id", "source", "name"]),
        indexes: vec![index(&["tenant", "name", "at_us"])],
    }
}

fn required(name: &str, of: ColumnType) -> Column {
    Column {
        name: name.to_owned(),
        of,
        required: true,
        default_value: None,
    }
}

fn optional(name: &str, of: ColumnType) -> Column {
    Column {
        name: name.to_owned(),
        of,
        required: false,
        default_value: None,
    }
}

fn index(columns: &[&str]) -> Index {
    Index {
        columns: names(columns),
        unique: false,
        text: false,
    }
}

fn names(columns: &[&str]) -> Vec<String> {
    columns.iter().map(|name| (*name).to_owned()).collect()
}
