//! One wasmtime engine: how guests are compiled, pooled and interrupted.

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use encaje_core::{Problem, ProblemKind};
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::component::{self, Version};
use crate::lane::Lanes;
use crate::limits;
use crate::places::Places;
use crate::state::{MemoryBudget, State};
use crate::{cache, host, previous};

/// The engine and what all plugins share of it. Cloning shares it.
#[derive(Clone)]
pub struct Runtime(Arc<Inner>);

struct Inner {
    engine: Engine,
    linker: Linker<State>,
    cache: cache::Cache,
    pooled: bool,
    memory: Arc<MemoryBudget>,
    places: Places,
    lanes: Arc<Lanes>,
}

/// How instances get their memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Allocation {
    /// From a pool where the address space has room for it, on demand otherwise.
    #[default]
    PooledIfPossible,
    /// On demand.
    OnDemand,
}

impl Runtime {
    /// An engine whose compiled code is kept in `cache`.
    ///
    /// # Errors
    /// `Internal` when the machine cannot run wasmtime, or the cache folder cannot be made.
    pub fn new(cache: PathBuf, allocation: Allocation) -> Result<Self, Problem> {
        let (engine, pooled) = make_engine(allocation)?;
        let linker = host::linker(&engine).map_err(Problem::internal)?;
        let cache = cache::Cache::open(cache, &engine)?;
        let inner = Arc::new(Inner {
            engine,
            linker,
            cache,
            pooled,
            memory: MemoryBudget::new(limits::ALL_MEMORIES),
            places: Places::new(),
            lanes: Lanes::new(),
        });
        start_ticker(&inner)?;
        Ok(Self(inner))
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(crate) fn linker(&self) -> &Linker<State> {
        &self.0.linker
    }

    pub(crate) fn memory(&self) -> Arc<MemoryBudget> {
        Arc::clone(&self.0.memory)
    }

    pub(crate) fn places(&self) -> &Places {
        &self.0.places
    }

    pub(crate) fn lanes(&self) -> &Arc<Lanes> {
        &self.0.lanes
    }

    /// Whether instances come from the pool.
    pub fn pooled(&self) -> bool {
        self.0.pooled
    }

    /// The compiled form of a component, from the cache where it is there.
    pub(crate) fn compile(&self, wasm: &[u8]) -> Result<Component, Problem> {
        if wasm.len() > limits::COMPONENT_BYTES {
            let message = format!(
                "The component has {} bytes, over the cap of {}.",
                wasm.len(),
                limits::COMPONENT_BYTES
            );
            return Err(Problem::new(ProblemKind::TooLarge, message));
        }
        match component::check(wasm)? {
            Version::Current => self.0.cache.load(&self.0.engine, wasm),
            Version::Previous => self.0.cache.load(&self.0.engine, &previous::renamed(wasm)),
        }
    }
}

fn make_engine(allocation: Allocation) -> Result<(Engine, bool), Problem> {
    if allocation == Allocation::PooledIfPossible {
        match Engine::new(&config(Some(pool()))) {
            Ok(engine) => return Ok((engine, true)),
            // Containers and small virtual machines cap the address space.
            Err(error) => tracing::warn!(%error, "no room for a pool of instances; they are allocated on demand"),
        }
    }
    Engine::new(&config(None))
        .map(|engine| (engine, false))
        .map_err(Problem::internal)
}

fn config(pool: Option<PoolingAllocationConfig>) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(limits::WASM_STACK)
        .async_stack_size(limits::FIBER_STACK)
        .memory_init_cow(true);
    if let Some(pool) = pool {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    config
}

fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(limits::POOL_INSTANCES)
        .total_core_instances(limits::POOL_CORE_INSTANCES)
        .total_memories(limits::POOL_INSTANCES)
        .total_tables(limits::POOL_TABLES)
        .total_stacks(limits::POOL_INSTANCES)
        .max_core_instances_per_component(limits::CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(limits::MEMORIES_PER_COMPONENT)
        .max_tables_per_component(limits::TABLES_PER_COMPONENT)
        .table_elements(limits::TABLE_ELEMENTS)
        .max_memory_size(limits::POOL_MEMORY)
        // What a small guest touches stays mapped, so that the next instance finds it without a page fault.
        .linear_memory_keep_resident(64 << 10)
        .table_keep_resident(4 << 10);
    pool
}

/// An operating system's thread: a timer of the async runtime would stand still when guests hold all its threads.
fn start_ticker(inner: &Arc<Inner>) -> Result<(), Problem> {
    let inner: Weak<Inner> = Arc::downgrade(inner);
    std::thread::Builder::new()
        .name("encaje-epoch".to_owned())
        .spawn(move || {
            while let Some(inner) = inner.upgrade() {
                inner.engine.increment_epoch();
                drop(inner);
                std::thread::sleep(limits::EPOCH);
            }
        })
        .map(drop)
        .map_err(Problem::internal)
}
