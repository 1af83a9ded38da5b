//! The composition root: reads settings and registry, brings in what they name, and puts the crates together.
//!
//! - [`args`]: what the command line may say.
//! - [`config`]: registry, settings and folders, found and checked.
//! - [`artifacts`]: plugins built and models fetched, with progress.
//! - [`compose`]: from a checked registry to a generation that serves.
//! - [`serve`]: the server's life: start, reload, shutdown; [`reload`]: watcher, `SIGHUP`, plan and apply.
//! - `command`: the other subcommands, one module each.
//!
//! No flow and no wire format is decided here.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "a test that fails should say where"
    )
)]

pub mod args;
pub mod artifacts;
mod client;
mod command;
pub mod compose;
pub mod config;
pub mod limits;
mod plugins;
pub mod reload;
pub mod serve;
mod status;

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Result;
use args::{Args, Command};
use tracing_subscriber::EnvFilter;

/// What the binary does: starts the log, runs one command line, and reports how it ended. Once a process.
#[must_use]
pub fn start(args: Args) -> ExitCode {
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
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let text = format!("{error:#}");
            // What is rendered with the place in its file says so itself.
            eprintln!("{}{text}", if text.starts_with("error: ") { "" } else { "error: " });
            ExitCode::FAILURE
        }
    }
}

/// Runs one command line to its end.
///
/// # Errors
/// Whatever the command reports; [`start`] prints it.
pub fn run(args: Args) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match args.command.unwrap_or_default() {
            Command::Serve(options) => serve::run(&args.common, &options).await,
            Command::Plan => command::plan::plan(&args.common),
            Command::Apply => command::plan::apply(&args.common).await,
            Command::Trace(what) => command::trace::run(&args.common, what).await,
            Command::Plugin(what) => command::plugin::run(&args.common, what).await,
            Command::Model(what) => command::model::run(&args.common, what).await,
            Command::Chat(options) => command::chat::run(&args.common, &options).await,
            Command::Doctor => command::doctor::run(&args.common),
            Command::Bench(options) => command::bench::run(&options).await,
        }
    })
}
