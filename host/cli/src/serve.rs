//! The server's life: bring in what the registry names, serve, take over edits, drain and end.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use encaje_capabilities::spool::FileSpool;
use encaje_core::generation::Current;
use encaje_core::ledger::{Ledger, WhenDown};
use encaje_core::server::Server;
use encaje_http::EdgeConfig;
use encaje_registry::WhenStorageFails;
use encaje_supply::TerminalProgress;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::args::{Common, Serve};
use crate::artifacts::Compile;
use crate::compose::Composer;
use crate::config::Config;
use crate::limits;
use crate::reload::{self, Reloader, Wish};

/// Runs the server until it is told to stop.
///
/// # Errors
/// Whatever keeps it from starting.
pub async fn run(common: &Common, options: &Serve) -> Result<()> {
    let config = Config::load(common, options.listen)?;
    let progress = Arc::new(TerminalProgress::new());
    let mut composer = Composer::new(&config, progress)?;
    let composed = composer.compose(&config, Compile::Allowed).await?;
    for line in &composed.migrated {
        tracing::info!("{line}");
    }
    let current = Arc::new(Current::new(composer.serves(composed)));
    let data = config.settings.data.value.clone();
    let spool = Arc::new(FileSpool::open(&data.join("spool"), limits::SPOOL_BYTES)?);
    let when_down = match config.settings.when_storage_fails.value {
        WhenStorageFails::Spool => WhenDown::Spool,
        WhenStorageFails::Refuse => WhenDown::Refuse,
    };
    let ledger = Ledger::start(Arc::clone(&current), spool, when_down);
    let server = Arc::new(Server::new(current, ledger));
    let address = config.settings.listen.value;
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}: is another server running there? Choose another with --listen")
    })?;
    let address = listener.local_addr()?;
    let edge = edge_config(&config)?;
    let (wishes, inbox) = mpsc::channel(limits::WISHES);
    let watcher = if options.no_watch {
        None
    } else {
        reload::watch(&config.path, wishes.clone()).ok()
    };
    // Sources of plugins lie in many folders; with `--dev` they are looked at in turn.
    let poll = !options.no_watch && (watcher.is_none() || options.dev);
    if !options.no_watch {
        // An edit between the reading of the registry and the watcher's first look has no event of its own.
        wishes.send(Wish::Changed).await?;
    }
    let signals = tokio::spawn(reload::listen_for_signals(wishes, poll)?);
    let greeting = greeting(&config, address);
    let compile = if options.dev { Compile::Allowed } else { Compile::Never };
    let reloader = Reloader::new(common.clone(), Arc::clone(&server), composer, config, compile);
    // Whoever reads the address may signal and plan at once.
    println!("{greeting}");
    let reloading = tokio::spawn(reloader.run(inbox));

    let router = encaje_http::router(Arc::clone(&server), edge.clone());
    let told = {
        let server = Arc::clone(&server);
        async move {
            stop_signal().await;
            server.stop();
        }
    };
    encaje_http::serve(listener, router, edge, told).await?;
    tracing::info!("draining");
    drop(watcher);
    signals.abort();
    server.drain().await;
    match tokio::time::timeout(limits::RELOAD_END, reloading).await {
        Ok(composer) => composer.context("the reloader ended badly")?.close().await,
        // It waits for a build or a download; the databases' logs are read again at the next start.
        Err(_) => {
            tracing::warn!("stopped in the middle of taking over an edit");
            std::process::exit(0);
        }
    }
    tracing::info!("stopped");
    Ok(())
}

fn edge_config(config: &Config) -> Result<EdgeConfig> {
    let settings = &config.settings;
    Ok(EdgeConfig {
        body_bytes: usize::try_from(settings.max_body.value)?,
        connections: usize::try_from(settings.max_in_flight.value)?,
        call_time: settings.timeout.value,
        drain_time: settings.drain.value,
        ..EdgeConfig::default()
    })
}

/// The address, and a line to paste.
fn greeting(config: &Config, address: std::net::SocketAddr) -> String {
    let model = config
        .registry
        .core_routes()
        .exact()
        .map(|route| route.pattern.clone())
        .min_by_key(|name| {
            // A model of this machine that chats makes the better first impression.
            let gguf = config
                .registry
                .models
                .get(name)
                .is_some_and(|model| model.format == encaje_registry::ModelFormat::Gguf);
            (!gguf, name.clone())
        });
    let first = format!("encaje serves on http://{address}");
    match model {
        None => first,
        Some(model) => format!(
            "{first}\ntry:\n  curl -N {address}/v1/chat/completions -H 'content-type: application/json' -d \
             '{{\"model\":\"{model}\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"Write one \
             sentence about the sea.\"}}]}}'"
        ),
    }
}

/// Ready at the first `SIGINT` or `SIGTERM`; a second one ends the process at once.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        tracing::error!("signals cannot be caught; the server stops only when it is killed");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::warn!("stopped at once; what was running is lost");
        tokio::time::sleep(Duration::from_millis(50)).await;
        std::process::exit(130);
    });
}
