//! `doctor`: looks at everything that a server needs, and says what to do about what is not as it should be. Changes nothing,
//! fetches nothing, builds nothing.

mod tools;

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};
use encaje_registry::{Environment, Lock, Manifest, Plugin, PluginSource, Secrets, render};
use encaje_supply::build::component;

use super::table;
use crate::args::Common;
use crate::artifacts;
use crate::config::Config;
use crate::status::Status;

/// What came of one look.
enum Found {
    Well(String),
    /// It works, but not all of it, or not for long.
    Doubt(String),
    Wrong(String),
}

struct Doctor {
    doubts: usize,
    wrongs: usize,
}

impl Doctor {
    fn says(&mut self, what: &str, found: Found) {
        let (word, text) = match found {
            Found::Well(text) => ("ok   ", text),
            Found::Doubt(text) => {
                self.doubts += 1;
                ("doubt", text)
            }
            Found::Wrong(text) => {
                self.wrongs += 1;
                ("WRONG", text)
            }
        };
        let mut lines = text.lines();
        println!("{word}  {what}: {}", lines.next().unwrap_or_default());
        lines.for_each(|line| println!("       {line}"));
    }
}

pub(crate) fn run(common: &Common) -> Result<()> {
    let mut doctor = Doctor { doubts: 0, wrongs: 0 };
    match Config::to_look_at(common) {
        Ok(config) => {
            doctor.says("registry", Found::Well(config.path.display().to_string()));
            machine(&mut doctor, &config);
            secrets(&mut doctor, &config);
            for plugin in &config.registry.plugins {
                doctor.says(&format!("plugin {}", plugin.name), plugin_of(&config, plugin));
            }
            models(&mut doctor, &config)?;
        }
        Err(error) => {
            doctor.says("registry", Found::Wrong(format!("{error:#}")));
            // What the machine has does not hang on the registry, and may be why there is none yet.
            match Config::without_registry(common) {
                Ok(config) => machine(&mut doctor, &config),
                Err(error) => doctor.says("settings", Found::Wrong(format!("{error:#}"))),
            }
        }
    }
    println!("\n{} wrong, {} in doubt", doctor.wrongs, doctor.doubts);
    if doctor.wrongs > 0 {
        bail!("the server would not start, or not with all of its plugins");
    }
    Ok(())
}

/// The first line that a program says of its version.
fn version(program: &str, argument: &str) -> Option<String> {
    let ran = Command::new(program)
        .arg(argument)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    ran.status
        .success()
        .then(|| said.lines().next().unwrap_or_default().to_owned())
}

/// Settings, folders, address and tools.
fn machine(doctor: &mut Doctor, config: &Config) {
    settings(config);
    folders(doctor, config);
    listens(doctor, config);
    let needed = tools::needed(&config.registry, &config.folder);
    tools::look(doctor, &config.home, &config.folder, &needed);
}

fn settings(config: &Config) {
    let mut rows = table(&["SETTING", "VALUE", "FROM"]);
    for setting in config.settings.list() {
        rows.add_row(vec![setting.name.to_owned(), setting.value, setting.origin.to_string()]);
    }
    println!("\n{rows}\n");
}

fn folders(doctor: &mut Doctor, config: &Config) {
    for (what, folder) in [
        ("home", config.home.root().to_owned()),
        ("data", config.settings.data.value.clone()),
    ] {
        // The nearest that is there: what lies below it is made by the first start.
        let there = folder.ancestors().find(|folder| folder.is_dir()).unwrap_or(&folder);
        let found = match tempfile::tempfile_in(there) {
            Ok(_) if there == folder => Found::Well(folder.display().to_string()),
            Ok(_) => Found::Well(format!("{} is made by the first start", folder.display())),
            Err(error) => Found::Wrong(format!("{} cannot be written: {error}", there.display())),
        };
        doctor.says(what, found);
    }
}

fn listens(doctor: &mut Doctor, config: &Config) {
    let address = config.settings.listen.value;
    let running = Status::of_running(&config.settings.data.value);
    let found = match (running, TcpListener::bind(address)) {
        (Some(status), _) => match status.error {
            Some(error) => Found::Doubt(format!(
                "a server runs on {}, and refused the last edit of its registry:\n{error}",
                status.listen
            )),
            None => Found::Well(format!(
                "a server runs on {}, generation {}",
                status.listen, status.generation
            )),
        },
        (None, Ok(_)) => Found::Well(format!("{address} is free, and no server runs over this data")),
        (None, Err(error)) => Found::Wrong(format!(
            "{address}: {error}; choose another with --listen or `[server] listen`"
        )),
    };
    doctor.says("listen", found);
}

fn secrets(doctor: &mut Doctor, config: &Config) {
    let file = config.folder.join(".env");
    let names = config.registry.secret_names();
    match Secrets::load(names.iter().copied(), &Environment::of_process(), &file) {
        Err(error) => doctor.says("secrets", Found::Wrong(error.to_string())),
        Ok(secrets) => {
            for name in names {
                let origin = secrets
                    .names()
                    .find(|(known, _)| *known == name)
                    .map(|(_, origin)| origin);
                let found = match origin {
                    Some(origin) => Found::Well(format!("set in {origin}")),
                    None => Found::Doubt(format!("not set; write `{name}=…` into {}", file.display())),
                };
                doctor.says(&format!("secret {name}"), found);
            }
        }
    }
}

/// Whether a plugin would be loaded, as far as its manifest tells.
fn plugin_of(config: &Config, plugin: &Plugin) -> Found {
    let (text, origin) = match manifest_of(config, plugin) {
        Ok(found) => found,
        Err(error) => return Found::Wrong(format!("{error:#}")),
    };
    let manifest = match Manifest::parse(&text, &origin) {
        Ok(manifest) => manifest,
        Err(wrong) => return Found::Wrong(render(&wrong)),
    };
    match config.registry.resolve(plugin, &manifest) {
        Ok(resolved) if resolved.warnings.is_empty() => Found::Well(format!(
            "{} {} ({})",
            manifest.name,
            manifest.version,
            plugin.kind.as_str()
        )),
        Ok(resolved) => Found::Doubt(render(&resolved.warnings)),
        Err(wrong) => Found::Wrong(render(&wrong)),
    }
}

fn manifest_of(config: &Config, plugin: &Plugin) -> Result<(String, String)> {
    let read = |path: &Path| -> Result<(String, String)> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| anyhow::anyhow!("{} cannot be read: {error}", path.display()))?;
        Ok((text, path.display().to_string()))
    };
    match &plugin.source {
        PluginSource::Path(folder) => read(&artifacts::source_folder(config.folder.join(folder))?.join("plugin.toml")),
        PluginSource::File { path, .. } => {
            let path = config.folder.join(path);
            match component::read_manifest(&component::read_file(&path)?)? {
                Some(text) => Ok((text, path.display().to_string())),
                None => bail!(
                    "{} carries no manifest: make it with `encaje plugin build`",
                    path.display()
                ),
            }
        }
        PluginSource::Oci { reference, .. } => {
            bail!("{reference}: this version does not fetch from container registries")
        }
    }
}

fn models(doctor: &mut Doctor, config: &Config) -> Result<()> {
    for model in config.registry.models.values() {
        let here = artifacts::model_here(&config.home, &config.folder, &config.registry, model)?;
        let found = match here {
            Some(path) => Found::Well(path.display().to_string()),
            None => Found::Doubt(format!(
                "not here yet; fetch it with `encaje model pull {}`",
                model.name
            )),
        };
        doctor.says(&format!("model {}", model.name), found);
    }
    let path = config.path.with_extension("lock");
    if path.exists()
        && let Err(wrong) = Lock::load(&path)
    {
        doctor.says("registry.lock", Found::Wrong(render(&wrong)));
    }
    Ok(())
}
