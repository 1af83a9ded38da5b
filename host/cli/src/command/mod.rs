//! The subcommands beside `serve`, one module each.

pub(crate) mod bench;
pub(crate) mod chat;
mod conformance;
mod diagnose;
pub(crate) mod doctor;
pub(crate) mod model;
pub(crate) mod plan;
pub(crate) mod plugin;
mod top;
pub(crate) mod trace;
mod watch;

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

/// A text that others wrote, for a terminal: what would steer it is shown instead of obeyed.
fn printable(text: &str) -> String {
    let shown = |character: char| match character {
        '\n' | '\t' => character,
        _ if character.is_control() => char::REPLACEMENT_CHARACTER,
        _ => character,
    };
    text.chars().map(shown).collect()
}

/// Microseconds in words.
fn duration(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{}.{} ms", us / 1_000, us % 1_000 / 100),
        _ => format!("{}.{:02} s", us / 1_000_000, us % 1_000_000 / 10_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_steer_a_terminal_is_shown_instead() {
        assert_eq!(
            printable("a\u{1b}]0;x\u{7}\u{9b}b\r\n\tç"),
            "a\u{fffd}]0;x\u{fffd}\u{fffd}b\u{fffd}\n\tç"
        );
    }
}
