//! The server's one clock for timestamps: microseconds of UTC since 1970.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now. A system clock that stands before 1970 reads as 0.
pub fn now_us() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}
