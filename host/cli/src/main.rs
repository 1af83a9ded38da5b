//! The `encaje` binary; everything that it does is in the library, so that tests can run it as it is.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    encaje_cli::start(encaje_cli::args::Args::parse())
}
