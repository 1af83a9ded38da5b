//! `model list` and `model pull`.

use std::sync::Arc;

use anyhow::{Result, bail};
use encaje_supply::TerminalProgress;
use encaje_supply::models::Check;

use super::table;
use crate::args::{Common, Model as What};
use crate::artifacts;
use crate::config::Config;

pub(crate) async fn run(common: &Common, what: What) -> Result<()> {
    let config = Config::load(common, None)?;
    match what {
        What::List => {
            let mut rows = table(&["MODEL", "FORMAT", "HERE", "DIGEST"]);
            for model in config.registry.models.values() {
                let here = artifacts::model_here(&config.home, &config.folder, &config.registry, model)?;
                let digest = model.weights().map(|file| file.sha256.to_string()).unwrap_or_default();
                rows.add_row(vec![
                    model.name.clone(),
                    model.format.as_str().to_owned(),
                    here.map_or_else(|| "no".to_owned(), |path| path.display().to_string()),
                    digest.chars().take(12).collect(),
                ]);
            }
            println!("{rows}");
        }
        What::Pull { names } => {
            if let Some(unknown) = names.iter().find(|name| !config.registry.models.contains_key(*name)) {
                bail!("the registry declares no model `{unknown}`: add `[models.{unknown}]`");
            }
            let progress = Arc::new(TerminalProgress::new());
            let (home, folder, registry) = (&config.home, &config.folder, &config.registry);
            let paths = artifacts::models(home, folder, registry, &names, Check::Whole, progress).await?;
            for (name, path) in paths {
                println!("{name}  {}", path.display());
            }
        }
    }
    Ok(())
}
