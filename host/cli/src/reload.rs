//! Taking over an edited registry while the server serves: on a change of the file, on `SIGHUP`, on `encaje apply`.
//!
//! A bad edit changes nothing but the log (invariant 8): the old generation serves until the new one is whole.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use encaje_core::server::Server;
use encaje_registry::Plan;
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
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
    /// Starts with the configuration that serves, and says so where other commands look.
    pub fn new(mut common: Common, server: Arc<Server>, composer: Composer, config: Config, compile: Compile) -> Self {
        let text = config.text.clone();
        // Files that are open cannot be in another folder: these two wait for a restart, whatever an edit says.
        common.data = Some(config.settings.data.value.clone());
        common.home = Some(config.settings.home.value.clone());
        let reloader = Self {
            common,
            server,
            composer,
            config,
            text,
            compile,
            answered: 0,
            generation: 1,
            error: None,
        };
        reloader.report();
        reloader
    }

    /// Takes over whatever comes, until the channel closes.
    pub async fn run(mut self, mut wishes: mpsc::Receiver<Wish>) -> Composer {
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
            Ok(None) if wish == Wish::Changed && self.error.is_none() => {}
            Ok(taken) => {
                self.error = None;
                self.report();
                if let Some(taken) = taken {
                    taken.log(self.generation);
                }
            }
            // A source that does not compile is tried again and again with `--dev`, and told once.
            Err(error) if wish == Wish::Changed && same && self.error == Some(format!("{error:#}")) => {}
            Err(error) => self.failed(&error),
        }
    }

    /// What is another than before, if anything is.
    async fn take_over(&mut self, wish: Wish) -> Result<Option<Taken>> {
        // Who asks has edited sources too, where there are any.
        let compile = match wish {
            Wish::Asked => Compile::Allowed,
            Wish::Changed => self.compile,
        };
        let next = Config::load(&self.common, Some(self.config.settings.listen.value))?;
        let plan = Plan::between(&self.config.registry, &next.registry);
        let composed = self.composer.compose(&next, compile).await?;
        if plan.is_empty() && !composed.changed {
            self.config = next;
            return Ok(None);
        }
        let migrated = composed.migrated.clone();
        let generation = self.composer.serves(composed);
        self.generation = generation.number;
        drop(self.server.swap(generation));
        self.config = next;
        Ok(Some(Taken { plan, migrated }))
    }

    /// What is asked about the attempt is true before the log speaks of it.
    fn failed(&mut self, error: &anyhow::Error) {
        self.error = Some(format!("{error:#}"));
        self.report();
        tracing::error!(
            "the registry was not taken over; generation {} goes on\n{error:#}",
            self.generation
        );
    }

    fn report(&self) {
        let status = Status {
            pid: std::process::id(),
            began: crate::status::began(std::process::id()).unwrap_or_default(),
            listen: self.config.settings.listen.value.to_string(),
            answered: self.answered,
            generation: self.generation,
            registry: self.config.text.clone(),
            error: self.error.clone(),
        };
        if let Err(error) = status.write(&self.config.settings.data.value) {
            tracing::warn!("{error:#}");
        }
        self.server.note_refused(self.error.clone());
    }
}

/// What an edit changed.
struct Taken {
    plan: Plan,
    /// What the migration did, in words.
    migrated: Vec<String>,
}

impl Taken {
    fn log(&self, generation: u64) {
        tracing::info!(generation, "the registry was taken over");
        for line in self
            .plan
            .to_string()
            .lines()
            .chain(self.migrated.iter().map(String::as_str))
        {
            tracing::info!("  {line}");
        }
        if self.plan.needs_restart() {
            tracing::warn!("some of it waits for a restart");
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
            ends_an_edit(event.kind) && event.paths.iter().any(|path| path.file_name() == Some(&name))
        });
        if concerns {
            // A full channel has a wish in it already.
            let _ = wishes.try_send(Wish::Changed);
        }
    })?;
    watcher.watch(&folder, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// Whether the file may be whole after such an event. Who empties it and writes it anew may take a while between the two;
/// where closing is reported, the edit is over when the file is closed.
fn ends_an_edit(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        EventKind::Modify(ModifyKind::Data(_)) => !cfg!(target_os = "linux"),
        _ => true,
    }
}

/// Sends a wish for each `SIGHUP` from now on, and has the file looked at now and then where nothing reports changes.
///
/// # Errors
/// A signal that cannot be listened for.
pub fn listen_for_signals(wishes: mpsc::Sender<Wish>, poll: bool) -> Result<impl Future<Output = ()>> {
    let mut hangups = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
    Ok(async move {
        let mut ticks = tokio::time::interval(limits::WATCH_POLL);
        loop {
            let wish = tokio::select! {
                hangup = hangups.recv() => match hangup {
                    Some(()) => Wish::Asked,
                    None => return,
                },
                _ = ticks.tick(), if poll => Wish::Changed,
            };
            if wishes.send(wish).await.is_err() {
                return;
            }
        }
    })
}
