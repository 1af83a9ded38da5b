//! One loaded plugin: compiled, linked once, and bounded; it makes instances for visits, and keeps warm ones.

use std::any::Any;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use encaje_core::health::{Health, HealthSnapshot, Observed, Sample};
use encaje_core::problem::PLUGIN_BUSY;
use encaje_core::trace::PluginKind;
use encaje_core::{Call, Problem, ProblemKind};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::InstancePre;

use crate::engine::Runtime;
use crate::grants::Capabilities;
use crate::host::metrics::Metrics;
use crate::lane::Lane;
use crate::limits::{self, PluginLimits};
use crate::places::{Needs, Place};
use crate::state::{MemoryBudget, MemoryCap, Shared, State};
use crate::visit::{Bindings, Visit, no_room};

/// What is needed to load a plugin.
#[derive(Debug, Clone)]
pub struct PluginSpec {
    /// Its name in the registry.
    pub name: String,
    /// Its kind.
    pub kind: PluginKind,
    /// The component.
    pub wasm: Vec<u8>,
    /// Its configuration, a JSON text that was checked against the manifest's schema.
    pub config: String,
    /// What it was granted.
    pub capabilities: Capabilities,
    /// What it may use.
    pub limits: PluginLimits,
    /// Visits that one instance serves, one after another; 1 is a fresh instance for each.
    pub uses: u32,
}

/// A loaded plugin of any kind; the adapters make a port of it.
pub struct Plugin {
    runtime: Runtime,
    pub(crate) kind: PluginKind,
    pre: InstancePre<State>,
    shared: Arc<Shared>,
    pub(crate) limits: PluginLimits,
    needs: Needs,
    /// What its instances' memories take together.
    memory: Arc<MemoryBudget>,
    instances: Arc<Semaphore>,
    waiting: AtomicUsize,
    shelf: Arc<Shelf>,
    health: Arc<Health>,
    lane: Arc<Lane>,
}

/// Where a warm plugin's instances are between two visits. Of a plugin of one kind all have the same type.
#[derive(Default)]
pub(crate) struct Shelf {
    /// Visits that an instance serves at most; 1 keeps none.
    pub(crate) uses: u32,
    idle: Mutex<Vec<Box<dyn Any + Send>>>,
}

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, Vec<Box<dyn Any + Send>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The instance that was used last, whose memory is likeliest in the processor's caches.
    pub(crate) fn take<I: 'static>(&self) -> Option<Box<I>> {
        let taken = self.lock().pop()?;
        taken.downcast().ok()
    }

    pub(crate) fn keep(&self, instance: Box<dyn Any + Send>) {
        let mut idle = self.lock();
        if idle.len() < limits::IDLE_INSTANCES {
            idle.push(instance);
        }
    }
}

impl Plugin {
    /// Compiles and links a plugin. Takes seconds for a large component that was never compiled here: call it where
    /// blocking is allowed.
    ///
    /// # Errors
    /// `Misconfigured` for a file that is no component or does not fit this host; `TooLarge`.
    pub fn load(runtime: &Runtime, spec: PluginSpec) -> Result<Self, Problem> {
        let component = runtime.compile(&spec.wasm)?;
        let pre = runtime.linker().instantiate_pre(&component).map_err(|error| {
            Problem::new(
                ProblemKind::Misconfigured,
                format!("The plugin `{}` does not fit this host.", spec.name),
            )
            .with_detail(format!("{error:#}"))
        })?;
        let metrics = Metrics::new(spec.capabilities.metrics.clone());
        let mut own = spec.limits;
        let needs = Needs::of(&component);
        own.instances = own.instances.min(needs.share());
        Ok(Self {
            runtime: runtime.clone(),
            kind: spec.kind,
            pre,
            shared: Arc::new(Shared {
                name: spec.name.into(),
                config: spec.config,
                capabilities: spec.capabilities,
                metrics,
            }),
            needs,
            memory: MemoryBudget::new(limits::PLUGIN_MEMORIES),
            instances: Arc::new(Semaphore::new(own.instances)),
            waiting: AtomicUsize::new(0),
            shelf: Arc::new(Shelf {
                uses: spec.uses.max(1),
                idle: Mutex::default(),
            }),
            health: Arc::default(),
            lane: runtime.lanes().lane(),
            limits: own,
        })
    }

    /// Its name in the registry.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    pub(crate) fn shelf(&self) -> &Arc<Shelf> {
        &self.shelf
    }

    pub(crate) fn health(&self) -> &Arc<Health> {
        &self.health
    }

    pub(crate) fn lane(&self) -> Arc<Lane> {
        Arc::clone(&self.lane)
    }

    pub(crate) fn pre(&self) -> &InstancePre<State> {
        &self.pre
    }

    /// Begins a visit: waits for a free place, then makes an instance.
    pub(crate) async fn visit<B: Bindings>(
        &self,
        call: &Call,
        bindings: &B::Pre,
        function: &'static str,
        wall: Duration,
    ) -> Result<Visit<B>, Problem> {
        // A plugin that waits for a place holds its own: 64 parents would lock each other out.
        let permit = match call.depth() {
            0 => self.place(wall.min(call.remaining())).await?,
            _ => self.place_now().ok_or_else(|| self.busy())?,
        };
        // What the wait took is the call's.
        let wall = wall.min(call.remaining());
        Visit::begin(self, call, bindings, function, wall, permit).await
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The cap of a new instance's memory.
    pub(crate) fn memory_cap(&self) -> MemoryCap {
        MemoryCap::new(
            self.limits.memory,
            self.kind,
            self.runtime.memory(),
            Arc::clone(&self.memory),
        )
    }

    /// A place for one more instance among those of all plugins; a storage takes of what is kept for it.
    pub(crate) fn slot(&self) -> Result<Option<Place>, Problem> {
        match self.kind {
            PluginKind::Storage => Ok(None),
            _ => self.runtime.places().take(self.needs).map(Some).ok_or_else(no_room),
        }
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    async fn place(&self, wall: Duration) -> Result<OwnedSemaphorePermit, Problem> {
        if let Some(permit) = self.place_now() {
            return Ok(permit);
        }
        let _waiting = Waiting::enter(&self.waiting, self.limits.queue).ok_or_else(|| self.busy())?;
        match tokio::time::timeout(wall, Arc::clone(&self.instances).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(self.busy()),
        }
    }

    fn place_now(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.instances).try_acquire_owned().ok()
    }

    fn busy(&self) -> Problem {
        self.health.refused();
        Problem::new(
            ProblemKind::Overloaded,
            format!("The plugin `{}` is busy.", self.name()),
        )
        .with_code(PLUGIN_BUSY)
        .with_retry_after(Duration::from_secs(1))
    }
}

impl Observed for Plugin {
    fn name(&self) -> &str {
        &self.shared.name
    }

    fn kind(&self) -> PluginKind {
        self.kind
    }

    fn health(&self) -> HealthSnapshot {
        self.health.snapshot()
    }

    fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn instances(&self) -> usize {
        self.limits.instances
    }

    fn samples(&self) -> Vec<Sample> {
        self.shared.metrics.snapshot()
    }
}

/// One place in the queue, given back however the wait ends.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize, most: usize) -> Option<Self> {
        let entered = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
            (now < most).then_some(now + 1)
        });
        entered.is_ok().then(|| Self(count))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a check said, within its bounds.
pub(crate) fn offers(said: Vec<String>) -> Result<Vec<String>, Problem> {
    if said.len() > limits::OFFERS || said.iter().any(|name| name.len() > limits::OFFER_BYTES) {
        return Err(Problem::internal(
            "the plugin's check returned too many or too long names",
        ));
    }
    Ok(said)
}
