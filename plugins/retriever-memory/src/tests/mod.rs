//! The collection over a store in memory: alone, and with several instances at once.

mod alone;
mod fake;
mod together;
