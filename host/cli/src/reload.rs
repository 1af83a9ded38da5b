//! Taking over an edited registry while the server serves: on a change of the file, on `SIGHUP`, on `encaje apply`.
//!
//! A bad edit changes nothing but the log (invariant 8): the old generation serves until the new one is whole.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use encaje_core::server::Server;
use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::args::Common;
use crate::artifacts::Compile;
use crate::compose::Composer;
use crate::config::Config;
use crate::limits;
use crate::status::Status;

/// What a running server needs to take over a registry.
pub struct Reloader {
    common: Common,
    server: Arc<Server>,
    composer: Composer,
    config: Config,
    /// The text that was tried last, taken over or not.
    text: String,
    compile: Compile,
    /// Attempts that somebody asked for.
    answered: u64,
    generation: u64,
    /// Why the last attempt failed, if it did.
    error: Option<String>,
}

impl Reloader {
    /// Starts with the configuration that serves.
    pub fn new(mut common: Common, server: Arc<Server>, composer: Composer, config: Config, compile: Compile) -> Self {
        let text = config.text.clone();
        // Files that are open cannot be in another folder: these two wait for a restart, whatever an edit says.
        common.data = Some(config.settings.data.value.clone());
        common.home = Some(config.settings.home.value.clone());
        Self {
            common,
            server,
            composer,
            config,
            text,
            compile,
            answered: 0,
            generation: 1,
            error: None,
        }
    }

    /// Takes over whatever comes, until the channel closes.
    pub async fn run(mut self, mut wishes: mpsc::Receiver<Wish>) -> Composer {
        self.report(None);
        while let Some(mut wish) = wishes.recv().await {
            let patience = tokio::time::Instant::now() + limits::EDIT_PATIENCE;
            while tokio::time::Instant::now() < patience
                && let Ok(Some(another)) = tokio::time::timeout(limits::EDIT_QUIET, wishes.recv()).await
            {
                wish = wish.max(another);
            }
            self.attend(wish).await;
        }
        Status::remove(&self.config.settings.data.value);
        self.composer
    }

    async fn attend(&mut self, wish: Wish) {
        let Ok(text) = std::fs::read_to_string(&self.config.path) else {
            // Between the two halves of a rename there is no file; the next event brings it.
            if wish == Wish::Asked {
                self.answered += 1;
                self.failed(&anyhow::anyhow!("the registry cannot be read"));
            }
            return;
        };
        if wish == Wish::Changed && text == self.text && self.compile == Compile::Never {
            return;
        }
        // The same text is not tried again until it is edited or asked for.
        let same = text == self.text;
        self.text = text;
        let outcome = self.take_over(wish).await;
        self.answered += u64::from(wish == Wish::Asked);
        match outcome {
            Ok(false) if wish == Wish::Changed && self.error.is_none() => {}
            Ok(_) => {
                self.error = None;
                self.report(None);
            }
            // A source that does not compile is tried again and again with `--dev`, and told once.
            Err(error) if wish == Wish::Changed && same && self.error == Some(format!("{error:#}")) => {}
            Err(error) => self.failed(&error),
        }
    }

    /// Whether anything is another than before.
    async fn take_over(&mut self, wish: Wish) -> Result<bool> {
        // Who asks has edited sources too, where there are any.
        let compile = match wish {
            Wish::Asked => Compile::Allowed,
            Wish::Changed => self.compile,
        };
        let next = Config::load(&self.common, Some(self.config.settings.listen.value))?;
        let plan = encaje_registry::Plan::between(&self.config.registry, &next.registry);
        let composed = self.composer.compose(&next, compile).await?;
        if plan.is_empty() && !composed.changed {
            self.config = next;
            return Ok(false);
        }
        let migrated = composed.migrated.clone();
        let generation = self.composer.serves(composed);
        self.generation = generation.number;
        let old = self.server.swap(generation);
        tracing::info!(generation = self.generation, "the registry was taken over");
        for line in plan.to_string().lines().chain(migrated.iter().map(String::as_str)) {
            tracing::info!("  {line}");
        }
        if plan.needs_restart() {
            tracing::warn!("some of it waits for a restart");
        }
        drop(old);
        self.config = next;
        Ok(true)
    }

    fn failed(&mut self, error: &anyhow::Error) {
        tracing::error!(
            "the registry was not taken over; generation {} goes on\n{error:#}",
            self.generation
        );
        self.error = Some(format!("{error:#}"));
        self.report(self.error.clone());
    }

    fn report(&self, error: Option<String>) {
        self.server.note_refused(error.clone());
        let status = Status {
            pid: std::process::id(),
            began: crate::status::began(std::process::id()).unwrap_or_default(),
            listen: self.config.settings.listen.value.to_string(),
            answered: self.answered,
            generation: self.generation,
            registry: self.config.text.clone(),
            error,
        };
        if let Err(error) = status.write(&self.config.settings.data.value) {
            tracing::warn!("{error:#}");
        }
    }
}

/// Why the registry is to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wish {
    /// It may have changed.
    Changed,
    /// Somebody asked.
    Asked,
}

/// Watches the registry's folder, so that an edit by rename is seen too. The watcher lives as long as what is returned.
///
/// # Errors
/// A folder that cannot be watched.
pub fn watch(path: &Path, wishes: mpsc::Sender<Wish>) -> Result<impl Watcher + use<>> {
    let name = path
        .file_name()
        .context("the registry's path names no file")?
        .to_owned();
    let folder = path.parent().context("the registry has no folder")?.to_owned();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let concerns = event.is_ok_and(|event| {
            !event.kind.is_access() && event.paths.iter().any(|path| path.file_name() == Some(&name))
        });
        if concerns {
            // A full channel has a wish in it already.
            let _ = wishes.try_send(Wish::Changed);
        }
    })?;
    watcher.watch(&folder, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// Sends a wish for each `SIGHUP`, and looks at the file now and then where nothing reports changes.
pub async fn listen_for_signals(wishes: mpsc::Sender<Wish>, poll: bool) -> Result<()> {
    let mut hangups = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
    let mut ticks = tokio::time::interval(limits::WATCH_POLL);
    loop {
        let wish = tokio::select! {
            hangup = hangups.recv() => match hangup {
                Some(()) => Wish::Asked,
                None => return Ok(()),
            },
            _ = ticks.tick(), if poll => Wish::Changed,
        };
        if wishes.send(wish).await.is_err() {
            return Ok(());
        }
    }
}
