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

use anyhow::Result;
use args::{Args, Command};

/// Runs one command line to its end.
///
/// # Errors
/// Whatever the command reports; the binary prints it and exits with 1.
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
