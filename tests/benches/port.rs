//! The port's side of the comparison: the stub in its sandbox, and calls of it, as the server makes them.

use std::path::Path;
use std::time::Duration;

use encaje_core::call::CallParts;
use encaje_core::chat::ChatRequest;
use encaje_core::ports::{Completion, Provider};
use encaje_core::trace::PluginKind;
use encaje_core::{Call, Caller};
use encaje_runtime::engine::Allocation;
use encaje_runtime::{Capabilities, Plugin, PluginLimits, PluginSpec, ProviderPlugin, Runtime};
use encaje_supply::{EncajeHome, TerminalProgress, guest_target};

/// The stub's component, built where it is not there yet.
pub(crate) fn component() -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join("plugins/provider-stub");
    let settings = guest_target::Settings::from_environment();
    let home = EncajeHome::from_environment().unwrap();
    let built = encaje_supply::build::build_plugin(&home, &folder, &settings, &TerminalProgress::new()).unwrap();
    std::fs::read(built.wasm).unwrap()
}

/// A provider behind the port.
pub(crate) struct Port(ProviderPlugin);

impl Port {
    /// `uses`: calls that one instance serves.
    pub(crate) async fn new(wasm: Vec<u8>, config: String, uses: u32) -> Self {
        let compiled = EncajeHome::from_environment().unwrap().root().join("compiled");
        let runtime = Runtime::new(compiled, Allocation::PooledIfPossible).unwrap();
        assert!(
            runtime.pooled(),
            "the figures are those of a pool, and there is no room for one"
        );
        let spec = PluginSpec {
            name: "stub".to_owned(),
            kind: PluginKind::Provider,
            wasm,
            config,
            capabilities: Capabilities::default(),
            limits: PluginLimits::default(),
            uses,
        };
        Self(
            ProviderPlugin::start(Plugin::load(&runtime, spec).unwrap())
                .await
                .unwrap(),
        )
    }

    /// An answer to a call of its own.
    pub(crate) async fn open(&self, request: ChatRequest) -> Box<dyn Completion> {
        self.0.complete(&call(), request).await.unwrap()
    }

    /// A whole call, with the crossing that it leaves; returns how many chunks came.
    pub(crate) async fn call(&self, request: ChatRequest) -> usize {
        let call = call();
        let mut completion = self.0.complete(&call, request).await.unwrap();
        let mut chunks = 0;
        while let Some(more) = completion.next().await.unwrap() {
            chunks += more.len();
        }
        drop(completion);
        assert_eq!(call.take_crossings().len(), 1);
        chunks
    }
}

fn call() -> Call {
    Call::new(CallParts {
        caller: Caller {
            tenant: "bench".to_owned(),
            user: None,
        },
        request_id: encaje_core::id::request_id(),
        parent: None,
        session: None,
        idempotency_key: None,
        time_limit: Duration::from_secs(60),
    })
}

/// A chat of one user message.
pub(crate) fn chat(text: &str) -> ChatRequest {
    ChatRequest::question("stub", text)
}
