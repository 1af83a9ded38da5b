//! What the tests share: plugins built once, a runtime, models, and a server in a process of its own.

pub mod assembled;
pub mod process;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use encaje_capabilities::sql::{Databases, SqliteSource};
use encaje_core::call::CallParts;
use encaje_core::chat::{ChatRequest, Chunk};
use encaje_core::ports::{Completion, Provider};
use encaje_core::trace::PluginKind;
use encaje_core::{Call, Caller, Problem};
use encaje_runtime::engine::Allocation;
use encaje_runtime::{Capabilities, Plugin, PluginLimits, PluginSpec, ProviderPlugin, Runtime, StoragePlugin};
use encaje_supply::models::Check;
use encaje_supply::{EncajeHome, TerminalProgress, guest_target};

pub use process::ServerProcess;

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Downloads and builds, shared with the user's own: what is there needs no second build.
pub fn home() -> EncajeHome {
    EncajeHome::from_environment().unwrap()
}

/// A component built from a folder of the repository; built once however many tests ask.
pub fn component(folder: &str) -> Vec<u8> {
    static BUILT: OnceLock<std::sync::Mutex<BTreeMap<String, Vec<u8>>>> = OnceLock::new();
    let mut built = BUILT
        .get_or_init(Default::default)
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    built
        .entry(folder.to_owned())
        .or_insert_with(|| {
            let settings = guest_target::Settings::from_environment();
            let path = root().join(folder);
            let built = encaje_supply::build::build_plugin(&home(), &path, &settings, &TerminalProgress::new());
            std::fs::read(built.unwrap_or_else(|error| panic!("{folder}: {error}")).wasm).unwrap()
        })
        .clone()
}

/// One engine for all tests, as in a server.
pub fn runtime() -> Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME
        .get_or_init(|| Runtime::new(home().root().join("compiled"), Allocation::PooledIfPossible).unwrap())
        .clone()
}

/// A specification with nothing granted.
pub fn spec(name: &str, kind: PluginKind, folder: &str, config: &str) -> PluginSpec {
    PluginSpec {
        name: name.to_owned(),
        kind,
        wasm: component(folder),
        config: config.to_owned(),
        capabilities: Capabilities::default(),
        limits: PluginLimits::default(),
        uses: 1,
    }
}

/// A provider, loaded and checked.
pub async fn provider(spec: PluginSpec) -> Result<ProviderPlugin, Problem> {
    let plugin = tokio::task::spawn_blocking(move || Plugin::load(&runtime(), spec))
        .await
        .unwrap()?;
    ProviderPlugin::start(plugin).await
}

/// The stub provider; its manifest's defaults, and a script where one is given.
pub async fn stub(script: serde_json::Value) -> ProviderPlugin {
    let config = serde_json::json!({
        "models": ["stub"], "context_tokens": 32_768, "dimensions": 384, "script": script,
    });
    provider(spec(
        "stub",
        PluginKind::Provider,
        "plugins/provider-stub",
        &config.to_string(),
    ))
    .await
    .unwrap()
}

/// The SQLite storage over a fresh database in `folder`.
pub async fn store(folder: &Path) -> (StoragePlugin, Databases) {
    let source = SqliteSource { file: "main.db".into() };
    let databases = Databases::open(folder, [("main".to_owned(), source)]).unwrap();
    let mut spec = spec(
        "store",
        PluginKind::Storage,
        "plugins/storage-sqlite",
        r#"{"database":"main"}"#,
    );
    spec.capabilities
        .sql
        .insert("main".to_owned(), databases.get("main").unwrap().clone());
    let plugin = tokio::task::spawn_blocking(move || Plugin::load(&runtime(), spec))
        .await
        .unwrap()
        .unwrap();
    (StoragePlugin::start(plugin).await.unwrap(), databases)
}

/// A call of a tenant.
pub fn call(tenant: &str) -> Call {
    call_of(tenant, Duration::from_secs(60))
}

/// A call of a tenant that may take so long.
pub fn call_of(tenant: &str, time_limit: Duration) -> Call {
    Call::new(CallParts {
        caller: Caller {
            tenant: tenant.to_owned(),
            user: None,
        },
        request_id: encaje_core::id::request_id(),
        parent: None,
        session: None,
        idempotency_key: None,
        time_limit,
    })
}

/// A chat of one user message.
pub fn chat(text: &str) -> ChatRequest {
    ChatRequest::question("stub", text)
}

/// Everything that an answer says.
pub async fn drain(completion: &mut dyn Completion) -> Result<Vec<Chunk>, Problem> {
    let mut all = Vec::new();
    while let Some(chunks) = completion.next().await? {
        all.extend(chunks);
    }
    Ok(all)
}

/// Asks and drains.
pub async fn ask(provider: &dyn Provider, call: &Call, request: ChatRequest) -> Result<Vec<Chunk>, Problem> {
    let mut completion = provider.complete(call, request).await?;
    drain(completion.as_mut()).await
}

/// A folder with the two models of the default registry, fetched once: `smollm2.gguf` and the folder `minilm`.
pub fn models_dir() -> PathBuf {
    static MODELS: OnceLock<PathBuf> = OnceLock::new();
    MODELS
        .get_or_init(|| {
            let folder = home().root().join("test-models");
            std::fs::create_dir_all(&folder).unwrap();
            let paths = std::thread::spawn(|| {
                let registry = encaje_cli::config::load_registry(&root().join("registry.toml")).unwrap();
                let progress = Arc::new(TerminalProgress::new());
                let (home, root) = (home(), root());
                let models = encaje_cli::artifacts::models(&home, &root, &registry, &[], Check::Quick, progress);
                tokio::runtime::Runtime::new().unwrap().block_on(models).unwrap()
            });
            for (name, path) in paths.join().unwrap() {
                let link = folder.join(if name.contains("minilm") {
                    "minilm"
                } else {
                    "smollm2.gguf"
                });
                if std::fs::read_link(&link).ok().as_deref() != Some(path.as_path()) {
                    let beside = folder.join(format!(".{}-{name}", std::process::id()));
                    std::os::unix::fs::symlink(&path, &beside).unwrap();
                    std::fs::rename(&beside, &link).unwrap();
                }
            }
            folder
        })
        .clone()
}

/// The repository's own registry, for a folder elsewhere.
pub fn default_registry() -> String {
    let text = std::fs::read_to_string(root().join("registry.toml")).unwrap();
    let plugins = format!("path = \"{}/plugins/", root().display());
    text.replace("path = \"plugins/", &plugins)
}

/// A registry over the repository's plugins, with the stub twice; `answers` is the plugin that the model `m` goes to.
pub fn registry(answers: &str) -> String {
    let plugins = root().join("plugins").display().to_string();
    format!(
        r#"[server]
storage = "store"

[databases.main]
sqlite = "main.db"

[plugins.stub]
kind = "provider"
source = {{ path = "{plugins}/provider-stub" }}

[plugins.other]
kind = "provider"
source = {{ path = "{plugins}/provider-stub" }}

[plugins.store]
kind = "storage"
source = {{ path = "{plugins}/storage-sqlite" }}
allow = {{ sql = ["main"] }}

[routes.m]
to = [{{ plugin = "{answers}" }}]
"#
    )
}
