//! How long an upstream asks to be left alone: `retry-after` (RFC 9110: seconds or a date) and `retry-after-ms`, as some
//! model services send. It waits for nothing.

use crate::limits::MAX_WAIT_DIGITS;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Milliseconds to wait, from the headers of an answer (names in any case). `retry-after-ms` is the finer one and wins;
/// `now_us` is microseconds of UTC since 1970, for dates. A date that is past is 0; what cannot be read counts as absent.
///
/// ```
/// let headers = [("Retry-After".to_owned(), "7".to_owned())];
/// assert_eq!(encaje_sdk::retry_after::from_headers(&headers, 0), Some(7_000));
/// ```
#[must_use]
pub fn from_headers(headers: &[(String, String)], now_us: u64) -> Option<u64> {
    let header = |name: &str| {
        let found = headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    };
    header("retry-after-ms")
        .and_then(|value| decimal(value.trim(), 1))
        .or_else(|| header("retry-after").and_then(|value| parse(value, now_us)))
}

/// Milliseconds to wait, from the value of a `retry-after` header: seconds (with decimals, which some services send) or a
/// date in any of the three forms of RFC 9110. `None` for anything else.
#[must_use]
pub fn parse(value: &str, now_us: u64) -> Option<u64> {
    let value = value.trim();
    decimal(value, 1_000).or_else(|| {
        let at_ms = date(value, now_us)?.checked_mul(1_000)?;
        // Rounded up, so that nobody comes early.
        Some(at_ms.saturating_sub(now_us / 1_000))
    })
}

/// A number with or without decimals, times `scale`, rounded up to a whole one.
fn decimal(text: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || whole.len() > MAX_WAIT_DIGITS || fraction.len() > MAX_WAIT_DIGITS {
        return None;
    }
    let unit = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let parts = u128::from(whole.parse::<u64>().ok()?) * u128::from(unit) + u128::from(fraction.parse::<u64>().ok()?);
    u64::try_from((parts * u128::from(scale)).div_ceil(u128::from(unit))).ok()
}

/// Seconds since 1970: `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT`, `Sun Nov  6 08:49:37 1994`.
fn date(text: &str, now_us: u64) -> Option<u64> {
    if let Some((_, rest)) = text.split_once(", ") {
        let rest = rest.strip_suffix(" GMT")?;
        let (day, time) = rest.rsplit_once(' ')?;
        let mut parts = day.split([' ', '-']);
        let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
        let year = match year.len() {
            4 => number(year, 4)?,
            2 => full_year(number(year, 2)?, now_us),
            _ => return None,
        };
        return if parts.next().is_none() {
            seconds(year, month, day, time)
        } else {
            None
        };
    }
    let mut parts = text.split_ascii_whitespace().skip(1);
    let (month, day, time, year) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_none() {
        seconds(number(year, 4)?, month, day, time)
    } else {
        None
    }
}

/// A year of two digits: that of the last or next fifty years.
fn full_year(short: u64, now_us: u64) -> u64 {
    let this_year = 1970 + now_us / 31_556_952_000_000;
    let year = this_year - this_year % 100 + short;
    if year > this_year + 50 { year - 100 } else { year }
}

fn number(text: &str, most_digits: usize) -> Option<u64> {
    let fits = text.len() <= most_digits && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok())?
}

/// Seconds since 1970 of a date and a time of the Gregorian calendar.
fn seconds(year: u64, month: &str, day: &str, time: &str) -> Option<u64> {
    let month = u64::try_from(MONTHS.iter().position(|name| *name == month)?).ok()?;
    let day = number(day, 2)?;
    let mut parts = time.split(':').map(|part| number(part, 2));
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    // 60 is a leap second.
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 60 || year < 1970 {
        return None;
    }
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days_in = |month: u64| match month {
        1 => 28 + u64::from(leap(year)),
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    };
    if day == 0 || day > days_in(month) {
        return None;
    }
    // Leap days before this year, less those before 1970.
    let before = year - 1;
    let leap_days = before / 4 - before / 100 + before / 400 - 477;
    let days = (year - 1970) * 365 + leap_days + (0..month).map(days_in).sum::<u64>() + day - 1;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::{date, from_headers, parse};

    /// 2026-11-21 00:00:00 UTC.
    const NOW_US: u64 = 1_795_219_200_000_000;

    fn headers(list: &[(&str, &str)]) -> Vec<(String, String)> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        list.iter().map(own).collect()
    }

    #[test]
    fn seconds_become_milliseconds_and_are_rounded_up() {
        assert_eq!(parse("0", NOW_US), Some(0));
        assert_eq!(parse(" 120 ", NOW_US), Some(120_000));
        assert_eq!(parse("1.5", NOW_US), Some(1_500));
        assert_eq!(parse("0.0001", NOW_US), Some(1));
        for nonsense in ["", "-1", "1e3", ".5", "soon", "1.", "9999999999999999", "٣"] {
            assert_eq!(parse(nonsense, NOW_US), None, "{nonsense}");
        }
    }

    #[test]
    fn the_three_forms_of_a_date_are_one_moment() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(date(text, NOW_US), Some(784_111_777), "{text}");
        }
        assert_eq!(date("Thu, 01 Jan 1970 00:00:00 GMT", NOW_US), Some(0));
        assert_eq!(date("Thu, 29 Feb 2024 12:00:00 GMT", NOW_US), Some(1_709_208_000));
        assert_eq!(date("Sat, 21 Nov 2026 00:00:00 GMT", NOW_US), Some(NOW_US / 1_000_000));
        assert_eq!(date("Friday, 21-Nov-75 00:00:00 GMT", NOW_US), Some(3_341_520_000));
        for nonsense in [
            "Wed, 29 Feb 2023 12:00:00 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 06 Foo 1994 08:49:37 GMT",
            "tomorrow, perhaps",
        ] {
            assert_eq!(date(nonsense, NOW_US), None, "{nonsense}");
        }
    }

    #[test]
    fn a_date_is_counted_from_now_and_never_negative() {
        assert_eq!(parse("Sat, 21 Nov 2026 00:00:30 GMT", NOW_US), Some(30_000));
        assert_eq!(parse("Sat, 21 Nov 2026 00:00:30 GMT", NOW_US + 500_000), Some(29_500));
        assert_eq!(parse("Sun, 06 Nov 1994 08:49:37 GMT", NOW_US), Some(0));
    }

    #[test]
    fn the_finer_header_wins_where_it_can_be_read() {
        let both = headers(&[("retry-after", "2"), ("Retry-After-Ms", "1234.5")]);
        assert_eq!(from_headers(&both, NOW_US), Some(1_235));
        let broken = headers(&[("retry-after-ms", "soon"), ("RETRY-AFTER", "2")]);
        assert_eq!(from_headers(&broken, NOW_US), Some(2_000));
        assert_eq!(from_headers(&headers(&[("date", "2")]), NOW_US), None);
    }
}
