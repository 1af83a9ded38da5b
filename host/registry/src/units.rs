//! Sizes and durations as people write them: `64MiB`, `2s`. Whole numbers and one unit; no fractions, no bare numbers.

use std::time::Duration;

const SIZES: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
const DURATIONS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];

/// Bytes of a size such as `64MiB`; the units are `B`, `KiB`, `MiB` and `GiB`. `None` for anything else.
pub fn parse_size(text: &str) -> Option<u64> {
    parse(text, &SIZES)
}

/// A duration such as `2s`; the units are `ms`, `s`, `m` and `h`. `None` for anything else.
pub fn parse_duration(text: &str) -> Option<Duration> {
    parse(text, &DURATIONS).map(Duration::from_millis)
}

/// As [`parse_size`] reads it, in the largest unit that loses nothing.
pub fn format_size(bytes: u64) -> String {
    format(bytes, &SIZES)
}

/// As [`parse_duration`] reads it, in the largest unit that loses nothing; what is under a millisecond is dropped.
pub fn format_duration(duration: Duration) -> String {
    format(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), &DURATIONS)
}

/// For what is derived; a plan shows sizes as they are written.
pub(crate) fn serialize_size<S: serde::Serializer>(bytes: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_size(*bytes))
}

/// As [`serialize_size`], for durations.
pub(crate) fn serialize_duration<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_duration(*duration))
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let factor = units
        .iter()
        .find(|(name, _)| *name == unit.trim_start_matches(' '))
        .map(|(_, factor)| *factor)?;
    number.parse::<u64>().ok()?.checked_mul(factor)
}

fn format(value: u64, units: &[(&str, u64)]) -> String {
    let fitting = units
        .iter()
        .rev()
        .find(|(_, factor)| value != 0 && value.is_multiple_of(*factor));
    match fitting.or(units.first()) {
        Some((unit, factor)) => format!("{}{unit}", value / factor),
        None => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_are_read() {
        assert_eq!(parse_size("64MiB"), Some(64 << 20));
        assert_eq!(parse_size("1 KiB"), Some(1024));
        assert_eq!(parse_size("0B"), Some(0));
        assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_duration("2m"), Some(Duration::from_secs(120)));
    }

    #[test]
    fn what_leaves_a_doubt_is_refused() {
        for text in [
            "",
            "64",
            "MiB",
            "64MB",
            "64mib",
            "-1B",
            "1.5MiB",
            "99999999999999999999B",
            "18446744073709551615GiB",
        ] {
            assert_eq!(parse_size(text), None, "{text}");
        }
        for text in ["", "2", "s", "2sec", "2S", "1m30s", "18446744073709551615h"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_shown_is_read_back(value: u64) {
            proptest::prop_assert_eq!(parse_size(&format_size(value)), Some(value));
            let duration = Duration::from_millis(value);
            proptest::prop_assert_eq!(parse_duration(&format_duration(duration)), Some(duration));
        }
    }
}
