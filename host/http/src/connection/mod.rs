//! Sockets: accepting connections up to a cap, serving each with its clocks, and coming to an end in good order.
//!
//! hyper reads and writes HTTP; what it leaves open is here: heads that come too slowly, clients that take nothing,
//! refusals that hyper makes without a body, and letting a client read an answer before its connection is reset.

mod clock;
mod serve;
mod watched;

pub use serve::serve;
