//! The `encaje` binary: parses the command line, starts the log, and reports how it ended.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use encaje_cli::args::{Args, Command};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let args = Args::parse();
    // A server's log is its voice; the other commands answer on standard output and speak up only when something is off.
    let serves = matches!(args.command, None | Some(Command::Serve(_)));
    let level = if serves { "info" } else { "warn" };
    let filter = EnvFilter::try_from_env("ENCAJE_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .compact()
        .init();
    match encaje_cli::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
