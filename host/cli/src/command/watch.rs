//! `plugin build --watch`: builds a plugin at each edit of its folder, and has a running server take the new one over.

use std::path::{Component as Part, Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use encaje_registry::{PluginSource, format_size};
use encaje_supply::{EncajeHome, TerminalProgress};
use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::{plan, plugin};
use crate::args::Common;
use crate::artifacts::{self, Component};
use crate::config::Config;
use crate::limits;
use crate::status::Status;

/// Builds, and builds again after each edit, until it is interrupted. A source that does not compile ends nothing: what was
/// built before stays where it is, and serves.
pub(crate) async fn run(common: &Common, home: EncajeHome, folder: &Path, output: Option<&Path>) -> Result<()> {
    let folder = std::fs::canonicalize(folder).with_context(|| format!("`{}` cannot be watched", folder.display()))?;
    let (edits, mut inbox) = mpsc::channel(1);
    let _watcher = watch(&folder, edits)?;
    let mut last = None;
    loop {
        match build(&home, &folder).await {
            Ok(built) if last == Some(built.digest) => {}
            Ok(built) => {
                last = Some(built.digest);
                let file = plugin::output_file(output, &built.manifest);
                plugin::write(&file, &built.wasm)?;
                let size = format_size(u64::try_from(built.wasm.len())?);
                println!("{}: {size}, sha256 {}", file.display(), built.digest);
                match take_over(common, &folder, &file).await {
                    Ok(said) => println!("{said}"),
                    Err(error) => println!("{error:#}"),
                }
            }
            Err(error) => println!("error: {error:#}\nwaiting for an edit"),
        }
        if inbox.recv().await.is_none() {
            return Ok(());
        }
        // An editor writes a file in several steps, and several files at once.
        let patience = tokio::time::Instant::now() + limits::EDIT_PATIENCE;
        while tokio::time::Instant::now() < patience
            && let Ok(Some(())) = tokio::time::timeout(limits::EDIT_QUIET, inbox.recv()).await
        {}
    }
}

async fn build(home: &EncajeHome, folder: &Path) -> Result<Component> {
    let (home, folder) = (home.clone(), folder.to_owned());
    spawn_blocking(move || artifacts::build(&home, &folder, &TerminalProgress::new())).await?
}

/// Has the server of the registry take the plugin over, where there is one and its registry names it.
async fn take_over(common: &Common, folder: &Path, file: &Path) -> Result<String> {
    if !common.registry.exists() {
        return Ok(format!(
            "there is no registry at `{}` that could serve it",
            common.registry.display()
        ));
    }
    let config = Config::load(common, None)?;
    let names = names(&config, folder, file);
    if names.is_empty() {
        return Ok(format!(
            "`{}` names no plugin of this folder; serve it with   source = {{ path = \"{}\" }}",
            config.path.display(),
            folder.display()
        ));
    }
    if Status::of_running(&config.settings.data.value).is_none() {
        return Ok(format!(
            "no server runs over {}; start one with `encaje serve`",
            config.settings.data.value.display()
        ));
    }
    let after = plan::take_over(&config).await?;
    Ok(format!(
        "{}: taken over by the server on {}, generation {}",
        names.join(", "),
        after.listen,
        after.generation
    ))
}

/// The plugins of a registry that come from this folder, or from the file that was built of it.
fn names(config: &Config, folder: &Path, file: &Path) -> Vec<String> {
    let is = |path: &str, wanted: &Path| {
        let (here, wanted) = (config.folder.join(path).canonicalize(), wanted.canonicalize());
        here.is_ok_and(|here| wanted.is_ok_and(|wanted| here == wanted))
    };
    let of_it = config.registry.plugins.iter().filter(|plugin| match &plugin.source {
        PluginSource::Path(path) => is(path, folder),
        PluginSource::File { path, .. } => is(path, file),
        PluginSource::Oci { .. } => false,
    });
    of_it.map(|plugin| plugin.name.clone()).collect()
}

/// Notes edits of what may be a source. The watcher lives as long as what is returned.
fn watch(folder: &Path, edits: mpsc::Sender<()>) -> Result<impl Watcher + use<>> {
    let root: Arc<Path> = folder.into();
    let watched = Arc::clone(&root);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let concerns = event.is_ok_and(|event| {
            let edited = || event.paths.iter().any(|path| may_be_source(&watched, path));
            event.need_rescan() || (!event.kind.is_access() && edited())
        });
        if concerns {
            // A full channel says already that there is something to do.
            let _ = edits.try_send(());
        }
    })?;
    watcher
        .watch(&root, RecursiveMode::Recursive)
        .with_context(|| format!("`{}` cannot be watched", root.display()))?;
    Ok(watcher)
}

/// What builds leave behind is no edit; what is built from the same sources is the same anyway.
fn may_be_source(folder: &Path, path: &Path) -> bool {
    let inner: PathBuf = path.strip_prefix(folder).unwrap_or(path).to_owned();
    let built = |name: &str| name.starts_with('.') || ["node_modules", "__pycache__"].contains(&name);
    let mut parts = inner.components();
    path.extension().is_none_or(|extension| extension != "wasm")
        && !inner.starts_with("target")
        && !parts.any(|part| matches!(part, Part::Normal(name) if built(&name.to_string_lossy())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_builds_leave_behind_is_no_edit() {
        let folder = Path::new("/p");
        for source in ["/p/plugin.toml", "/p/src/lib.rs", "/p/src/target/mod.rs", "/p"] {
            assert!(may_be_source(folder, Path::new(source)), "{source}");
        }
        for built in [
            "/p/x.wasm",
            "/p/target/debug/x",
            "/p/.encaje/sdk/a.h",
            "/p/src/.x.swp",
            "/p/a/node_modules/b.js",
        ] {
            assert!(!may_be_source(folder, Path::new(built)), "{built}");
        }
    }
}
