//! The subcommands beside `serve`, one module each.

pub(crate) mod bench;
pub(crate) mod chat;
pub(crate) mod model;
pub(crate) mod plan;
pub(crate) mod plugin;
pub(crate) mod trace;

use comfy_table::{ContentArrangement, Table, presets};

/// A table for a terminal: no lines but the one under the head.
fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(head);
    table
}

/// Microseconds in words.
fn duration(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{}.{} ms", us / 1_000, us % 1_000 / 100),
        _ => format!("{}.{:02} s", us / 1_000_000, us % 1_000_000 / 10_000),
    }
}
