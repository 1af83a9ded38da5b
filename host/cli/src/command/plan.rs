//! `plan` and `apply`: what an edit would change in the running server, and having it taken over.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use encaje_registry::{Plan, Registry, render};

use crate::args::Common;
use crate::config::Config;
use crate::limits;
use crate::status::{self, Status};

/// Prints the difference between the running server's registry and the one on disk.
pub(crate) fn plan(common: &Common) -> Result<()> {
    let config = Config::load(common, None)?;
    let plan = match Status::of_running(&config.settings.data.value) {
        Some(status) => {
            println!("the server on {} runs generation {}", status.listen, status.generation);
            if let Some(error) = &status.error {
                println!("its last attempt to take over an edit failed:\n{error}");
            }
            let running = Registry::parse(&status.registry, "the running registry")
                .map_err(|wrong| anyhow!("{}", render(&wrong)))?;
            Plan::between(&running, &config.registry)
        }
        None => {
            println!(
                "no server runs over {}; this is what one would start with",
                config.settings.data.value.display()
            );
            Plan::from_nothing(&config.registry)
        }
    };
    if plan.is_empty() {
        println!("nothing changes");
    } else {
        print!("{plan}");
    }
    Ok(())
}

/// Signals the running server, and waits for what it says of the edit.
pub(crate) async fn apply(common: &Common) -> Result<()> {
    let config = Config::load(common, None)?;
    let after = take_over(&config).await?;
    println!("the server on {} runs generation {}", after.listen, after.generation);
    Ok(())
}

/// Has the registry's running server look at it and at its plugins' sources, and waits until it serves them.
pub(crate) async fn take_over(config: &Config) -> Result<Status> {
    let data = &config.settings.data.value;
    let Some(before) = Status::of_running(data) else {
        bail!("no server runs over {}: start one with `encaje serve`", data.display());
    };
    status::signal(before.pid)?;
    let start = Instant::now();
    while start.elapsed() < limits::APPLY {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let Some(after) = Status::of_running(data) else {
            bail!("the server ended meanwhile")
        };
        if after.answered == before.answered {
            continue;
        }
        if let Some(error) = after.error {
            bail!(
                "the server refused it and goes on with generation {}:\n{error}",
                after.generation
            );
        }
        return Ok(after);
    }
    bail!(
        "the server did not say within {} s how it went; see its log",
        limits::APPLY.as_secs()
    )
}
