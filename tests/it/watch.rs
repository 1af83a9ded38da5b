//! `plugin build --watch`: an author's edit is served a moment later, and a mistake serves nobody.

use std::time::Duration;

use hyper::Method;
use serde_json::Value;

use crate::support::process::{Background, command};
use crate::support::{ServerProcess, registry};

/// Builds in a language take seconds, and on a machine that does much else, more.
const PATIENCE: Duration = Duration::from_secs(120);

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let start = std::time::Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what} never came")
}

/// Who owns the model of the plugin, by its own word.
async fn owner(server: &ServerProcess) -> String {
    let listed = server.ask(Method::GET, "/v1/models", "").await;
    let listed: Value = serde_json::from_str(&listed.body).unwrap();
    let models = listed["data"].as_array().unwrap();
    let found = models.iter().find(|model| model["id"] == "echo");
    found
        .map(|model| model["owned_by"].as_str().unwrap().to_owned())
        .unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_a_plugin_is_built_and_served_while_the_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("echo");
    let into = plugin.display().to_string();
    let new = [
        "plugin", "new", "echo", "--kind", "provider", "--lang", "c", "--into", &into,
    ];
    let begun = command(folder.path(), &new, "");
    assert!(begun.well, "{}", begun.said);
    let text = registry("echo")
        + &format!(
            "\n[routes.\"*\"]\nto = [{{ plugin = \"echo\" }}]\n\n[plugins.echo]\nkind = \"provider\"\n\
             source = {{ path = \"{into}\" }}\n"
        );
    let server = ServerProcess::start(folder.path(), &text, &[]);
    assert_eq!(owner(&server).await, "me");

    let file = folder.path().join("echo.wasm").display().to_string();
    let watching = Background::start(folder.path(), &["plugin", "build", &into, "--watch", "--output", &file]);
    until("the first build", async || {
        watching.said().contains("echo: taken over").then_some(())
    })
    .await;

    let source = plugin.join("plugin.c");
    let good = std::fs::read_to_string(&source).unwrap();
    let owned_by = |name: &str| good.replace("(\"me\")", &format!("(\"{name}\")"));
    assert_ne!(owned_by("you"), good);
    std::fs::write(&source, owned_by("you")).unwrap();
    until("the edit", async || (owner(&server).await == "you").then_some(())).await;

    std::fs::write(&source, owned_by("nobody").replace("return true;", "return tru;")).unwrap();
    until("the mistake", async || {
        watching.said().contains("waiting for an edit").then_some(())
    })
    .await;
    assert!(watching.said().contains("tru"), "{}", watching.said());
    assert_eq!(owner(&server).await, "you", "what served goes on");

    std::fs::write(&source, owned_by("they")).unwrap();
    until("the repair", async || (owner(&server).await == "they").then_some(())).await;
    assert!(std::fs::read(&file).unwrap().starts_with(b"\0asm"));
    drop(watching);
    server.stop();
}
