//! The other side of the comparison: the provider in a plain wasmtime loop, with nothing of the sandbox around it.
//!
//! One store and one instance a call, from the same pool as the host's (`encaje_runtime::limits`). There is no deadline,
//! no account, no cap and no conversion; the imports that the stub uses are answered in the shortest way.

use encaje_bindings::base::encaje::common as types;
use encaje_bindings::base::encaje::common::chat as guest;
use encaje_bindings::base::encaje::host::{clock, config, log};
use encaje_bindings::provider::{Plugin as Guest, PluginPre as GuestPre};
use encaje_core::chat::{ChatRequest, Input};
use encaje_runtime::limits;
use wasmtime::component::{Component, HasSelf, Linker, ResourceAny, ResourceTable};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// A linked provider.
pub(crate) struct Bare {
    engine: Engine,
    pre: GuestPre<State>,
    config: String,
}

/// An instance that is asked again and again.
pub(crate) struct BareInstance {
    store: Store<State>,
    guest: Guest,
}

/// An answer under way.
pub(crate) struct BareStream {
    instance: BareInstance,
    resource: ResourceAny,
}

impl Bare {
    pub(crate) fn new(wasm: &[u8], config: String) -> Self {
        let engine = Engine::new(&engine_config()).unwrap();
        let component = Component::new(&engine, wasm).unwrap();
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        link(&mut linker).unwrap();
        let pre = GuestPre::new(linker.instantiate_pre(&component).unwrap()).unwrap();
        Self { engine, pre, config }
    }

    /// A fresh instance.
    pub(crate) async fn instance(&self) -> BareInstance {
        let state = State {
            config: self.config.clone(),
            table: ResourceTable::new(),
            wasi: None,
        };
        let mut store = Store::new(&self.engine, state);
        let guest = self.pre.instantiate_async(&mut store).await.unwrap();
        BareInstance { store, guest }
    }

    /// A fresh instance that has been asked.
    pub(crate) async fn open(&self, request: &guest::ChatRequest) -> BareStream {
        let mut instance = self.instance().await;
        let resource = instance.complete(request).await;
        BareStream { instance, resource }
    }

    /// A whole call; returns how many chunks came.
    pub(crate) async fn call(&self, request: &guest::ChatRequest) -> usize {
        self.instance().await.call(request).await
    }
}

impl BareInstance {
    async fn complete(&mut self, request: &guest::ChatRequest) -> ResourceAny {
        let provider = self.guest.encaje_provider_provider();
        let said = provider.call_complete(&mut self.store, request).await;
        said.unwrap().unwrap()
    }

    async fn next(&mut self, resource: ResourceAny) -> Option<Vec<guest::Chunk>> {
        let completion = self.guest.encaje_provider_provider().completion();
        completion.call_next(&mut self.store, resource).await.unwrap().unwrap()
    }

    /// A whole call; returns how many chunks came.
    pub(crate) async fn call(&mut self, request: &guest::ChatRequest) -> usize {
        let resource = self.complete(request).await;
        let mut chunks = 0;
        while let Some(more) = self.next(resource).await {
            chunks += more.len();
        }
        resource.resource_drop_async(&mut self.store).await.unwrap();
        chunks
    }
}

impl BareStream {
    pub(crate) async fn next(&mut self) -> Option<Vec<guest::Chunk>> {
        self.instance.next(self.resource).await
    }
}

/// As `encaje_runtime::engine` has it, without epochs.
fn engine_config() -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(limits::POOL_INSTANCES)
        .total_core_instances(limits::POOL_CORE_INSTANCES)
        .total_memories(limits::POOL_INSTANCES)
        .total_tables(limits::POOL_INSTANCES * 2)
        .total_stacks(limits::POOL_INSTANCES)
        .max_core_instances_per_component(limits::CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(limits::MEMORIES_PER_COMPONENT)
        .max_tables_per_component(limits::TABLES_PER_COMPONENT)
        .table_elements(limits::TABLE_ELEMENTS)
        .max_memory_size(limits::POOL_MEMORY)
        .linear_memory_keep_resident(64 << 10)
        .table_keep_resident(4 << 10);
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(false)
        .max_wasm_stack(limits::WASM_STACK)
        .async_stack_size(limits::FIBER_STACK)
        .memory_init_cow(true)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// What the stub imports, and no more.
fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    types::errors::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    types::chat::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    types::embeddings::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    log::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    config::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    clock::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}

/// The data of one store.
struct State {
    config: String,
    table: ResourceTable,
    wasi: Option<WasiCtx>,
}

impl types::errors::Host for State {}
impl types::chat::Host for State {}
impl types::embeddings::Host for State {}

impl log::Host for State {
    fn write(&mut self, _: log::Level, _: String, _: Vec<(String, String)>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl config::Host for State {
    fn get(&mut self) -> wasmtime::Result<String> {
        Ok(self.config.clone())
    }
}

impl clock::Host for State {
    fn now_us(&mut self) -> wasmtime::Result<u64> {
        Ok(encaje_core::time::now_us())
    }

    fn monotonic_us(&mut self) -> wasmtime::Result<u64> {
        Ok(encaje_core::time::now_us())
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: self.wasi.get_or_insert_with(WasiCtx::default),
            table: &mut self.table,
        }
    }
}

/// A chat of one user message, as the guest has it.
fn request(text: &str) -> guest::ChatRequest {
    let part = guest::Part {
        body: guest::PartBody::Text(text.to_owned()),
        extra: Vec::new(),
    };
    let message = guest::Message {
        role: guest::Role::User,
        content: vec![part],
        name: None,
        tool_call_id: None,
        is_error: false,
        extra: Vec::new(),
    };
    guest::ChatRequest {
        model: "stub".to_owned(),
        input: guest::Input::Messages(vec![message]),
        sampling: guest::Sampling {
            temperature: None,
            top_p: None,
            top_k: None,
            min_p: None,
            frequency_penalty: None,
            presence_penalty: None,
            repetition_penalty: None,
            logit_bias: Vec::new(),
            seed: None,
            stop: Vec::new(),
            max_tokens: None,
            choices: 1,
            logprobs: None,
        },
        tools: Vec::new(),
        tool_choice: None,
        parallel_tool_calls: None,
        response_format: guest::ResponseFormat::Text,
        reasoning_effort: None,
        extra: Vec::new(),
    }
}

/// The same request as the port gets, for one of a single user message.
pub(crate) fn from_core(core: &ChatRequest) -> guest::ChatRequest {
    let Input::Messages(messages) = &core.input else {
        panic!("the benches ask with messages")
    };
    let text: String = messages.iter().map(|message| message.plain_text()).collect();
    guest::ChatRequest {
        extra: core.extra.clone(),
        ..request(&text)
    }
}
