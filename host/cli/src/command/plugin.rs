//! `plugin new`, `list`, `build` and `inspect`; `top` is in a file of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use encaje_registry::{Allow, Digest, Lock, Manifest, Need, format_size, render};
use encaje_supply::build::{MANIFEST_FILE, component};
use encaje_supply::scaffold;
use encaje_supply::{EncajeHome, Progress, Quiet, TerminalProgress};

use super::{conformance, diagnose, table, top, watch};
use crate::args::{Common, Plugin as What};
use crate::artifacts::{self, Component};
use crate::config::Config;

pub(crate) async fn run(common: &Common, what: What) -> Result<()> {
    if let What::Top {
        remote,
        every,
        once,
        json,
    } = what
    {
        return top::run(&remote, every, once, json).await;
    }
    if let What::Build {
        folder,
        output,
        watch: true,
    } = &what
    {
        return watch::run(common, home(common)?, folder, output.as_deref()).await;
    }
    if let What::Test(options) = what {
        return conformance::run(&home(common)?, &options).await;
    }
    if let What::Doctor { file } = what {
        return diagnose::run(&home(common)?, &file).await;
    }
    let common = common.clone();
    // Compiling and hashing block.
    tokio::task::spawn_blocking(move || match what {
        What::List => list(&common),
        What::New { name, kind, lang, into } => begin(&name, &kind, &lang, into.as_deref()),
        What::Build { folder, output, .. } => build(&common, &folder, output.as_deref()),
        What::Inspect { file } => inspect(&file),
        What::Top { .. } | What::Test(_) | What::Doctor { .. } => Ok(()),
    })
    .await?
}

fn list(common: &Common) -> Result<()> {
    let config = Config::load(common, None)?;
    let mut rows = table(&["PLUGIN", "KIND", "NAME", "VERSION", "SIZE", "DIGEST", "ALLOW"]);
    let quiet: Arc<dyn Progress> = Arc::new(Quiet);
    for plugin in &config.registry.plugins {
        let found = artifacts::component_of(&config.home, &config.folder, plugin, &Lock::default(), quiet.as_ref());
        let (name, version, size, digest) = match &found {
            Ok(Component { wasm, digest, manifest }) => (
                manifest.name.clone(),
                manifest.version.clone(),
                format_size(u64::try_from(wasm.len())?),
                digest.to_string().chars().take(12).collect(),
            ),
            Err(error) => (format!("{error:#}"), String::new(), String::new(), String::new()),
        };
        let kind = plugin.kind.as_str().to_owned();
        rows.add_row(vec![
            plugin.name.clone(),
            kind,
            name,
            version,
            size,
            digest,
            plugin.allow.to_toml(),
        ]);
    }
    println!("{rows}");
    Ok(())
}

fn begin(name: &str, kind: &str, language: &str, into: Option<&Path>) -> Result<()> {
    let folder = into.map_or_else(|| Path::new(name).to_owned(), Path::to_owned);
    scaffold::new_plugin(name, kind, language, &folder)?;
    let manifest =
        Manifest::load(&folder.join(MANIFEST_FILE)).map_err(|wrong| anyhow::anyhow!("{}", render(&wrong)))?;
    let shown = folder.display();
    println!("{shown}: {kind} in {language}");
    println!("build it with   encaje plugin build {}", shell(&folder));
    println!("test it with    encaje plugin test {}", shell(&folder));
    println!("and serve it with this in registry.toml:\n");
    let path = toml::Value::from(shown.to_string());
    println!("[plugins.{name}]\nkind = \"{kind}\"\nsource = {{ path = {path} }}");
    let allow = manifest.requires.to_allow();
    if allow != Allow::default() {
        println!("allow = {}", allow.to_toml());
    }
    Ok(())
}

/// A path as a shell takes it for one word.
fn shell(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    match text.bytes().all(plain) && !text.starts_with('-') {
        true => text,
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

fn home(common: &Common) -> Result<EncajeHome> {
    Ok(match &common.home {
        Some(home) => EncajeHome::at(home.clone())?,
        None => EncajeHome::from_environment()?,
    })
}

fn build(common: &Common, folder: &Path, output: Option<&Path>) -> Result<()> {
    let home = home(common)?;
    let folder = std::path::absolute(folder)?;
    let built = artifacts::build(&home, &folder, &TerminalProgress::new())?;
    let file = output_file(output, &built.manifest);
    write(&file, &built.wasm)?;
    println!("{}", file.display());
    describe(&built.wasm, Some(&built.manifest))
}

/// Where a built component goes.
pub(super) fn output_file(wanted: Option<&Path>, manifest: &Manifest) -> PathBuf {
    wanted.map_or_else(|| format!("{}.wasm", manifest.name).into(), Path::to_owned)
}

/// Puts a component in place whole: who reads it meanwhile gets this one or the one before.
pub(super) fn write(file: &Path, wasm: &[u8]) -> Result<()> {
    let beside = file.with_extension(format!("wasm.{}", std::process::id()));
    let written = std::fs::write(&beside, wasm).and_then(|()| std::fs::rename(&beside, file));
    written.with_context(|| format!("`{}` cannot be written", file.display()))
}

fn inspect(file: &Path) -> Result<()> {
    let wasm = component::read_file(file).with_context(|| format!("`{}` is no component", file.display()))?;
    let manifest = match component::read_manifest(&wasm)? {
        Some(text) => {
            let origin = format!("{} (manifest)", file.display());
            Some(Manifest::parse(&text, &origin).map_err(|wrong| anyhow::anyhow!("{}", render(&wrong)))?)
        }
        None => None,
    };
    describe(&wasm, manifest.as_ref())
}

fn describe(wasm: &[u8], manifest: Option<&Manifest>) -> Result<()> {
    println!("size      {}", format_size(u64::try_from(wasm.len())?));
    println!("sha256    {}", Digest::of(wasm));
    match manifest {
        Some(manifest) => {
            println!(
                "plugin    {} {} ({})",
                manifest.name,
                manifest.version,
                manifest.kind.as_str()
            );
            println!("publisher {}, licence {}", manifest.publisher, manifest.license);
            println!("about     {}", manifest.description);
            println!(
                "contracts version {}, world encaje:{}/plugin",
                manifest.wit,
                manifest.kind.as_str()
            );
            println!("requires  {}", requires(manifest));
            let allow = manifest.requires.to_allow();
            if allow != Allow::default() {
                println!("grants    allow = {}", allow.to_toml());
            }
            println!("instance  {}", manifest.instance.as_str());
            println!("config    {}", config_keys(manifest));
        }
        None => println!("plugin    no manifest: it was not made by `encaje plugin build`"),
    }
    let outside = component::inspect(wasm)?;
    for (what, items) in [("imports", &outside.imports), ("exports", &outside.exports)] {
        println!("{what}");
        for item in items {
            println!("  {}", item.name);
        }
    }
    Ok(())
}

/// The keys of its `config` that the manifest declares.
fn config_keys(manifest: &Manifest) -> String {
    let properties = manifest.config_schema.get("properties");
    let keys: Vec<&str> = properties
        .and_then(|properties| properties.as_object())
        .map(|keys| keys.keys().map(String::as_str).collect())
        .unwrap_or_default();
    if keys.is_empty() {
        "no keys".to_owned()
    } else {
        keys.join(", ")
    }
}

fn requires(manifest: &Manifest) -> String {
    let requires = &manifest.requires;
    let flags = [("kv", requires.kv), ("metrics", requires.metrics)];
    let needs = [
        ("inference", &requires.inference),
        ("sql", &requires.sql),
        ("http", &requires.http),
        ("secrets", &requires.secrets),
        ("models", &requires.models),
        ("vectors", &requires.vectors),
    ];
    let flags = flags.iter().filter(|(_, needed)| *needed);
    let needs = needs.iter().filter(|(_, need)| need.is_some());
    let names: Vec<String> = flags
        .map(|(name, _)| (*name).to_owned())
        .chain(needs.map(|(name, need)| match need {
            Need::Optional => format!("{name} (optional)"),
            _ => (*name).to_owned(),
        }))
        .collect();
    if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join(", ")
    }
}
