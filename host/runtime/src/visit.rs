//! One instance while it is used: every call into it is metered, has the visit's deadline, and ends in a typed problem.
//!
//! By default an instance serves one visit and is then thrown away, so that nothing leaks from one tenant to the next. A
//! warm plugin's instance serves many, one after another, as long as each comes to its end: a trap, a time-out or a dropped
//! call poisons it. Dropping a visit ends it; its crossing is noted in the call either way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use encaje_bindings::base::encaje::common::errors;
use encaje_capabilities::egress::Traffic;
use encaje_core::health::Health;
use encaje_core::id::SpanId;
use encaje_core::problem::{PLUGINS_CROWDED, POOL_FULL};
use encaje_core::time::now_us;
use encaje_core::trace::{Crossing, PluginKind};
use encaje_core::{Call, Problem, ProblemKind};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};
use wasmtime::component::{InstancePre, ResourceAny};
use wasmtime::{Store, StoreContextMut, Trap, UpdateDeadline};

use crate::limits;
use crate::meter::Meter;
use crate::places::Place;
use crate::plugin::{Plugin, Shelf};
use crate::state::State;

/// What a guest's function gives: an outer error is a trap, an inner one the guest's own.
pub(crate) type Said<T> = wasmtime::Result<Result<T, errors::Problem>>;

/// The generated bindings of one kind.
pub(crate) trait Bindings: Sized + Send + Sync + 'static {
    /// Their linked form.
    type Pre: Send + Sync;

    /// Finds the exports that the kind must have.
    fn link(pre: InstancePre<State>) -> wasmtime::Result<Self::Pre>;

    /// Makes an instance.
    fn instantiate(pre: &Self::Pre, store: &mut Store<State>) -> impl Future<Output = wasmtime::Result<Self>> + Send;

    /// Calls `encaje:common/lifecycle`'s `check`.
    fn check(&self, store: &mut Store<State>) -> impl Future<Output = Said<Vec<String>>> + Send;
}

/// An instance between two visits: its memory is as the last one left it.
pub(crate) struct Instance<B> {
    store: Store<State>,
    bindings: Arc<B>,
    born: Instant,
    uses: u32,
    /// Its place among all instances; given back when its memory is.
    _slot: Option<Place>,
}

/// One visit to one instance.
pub(crate) struct Visit<B: Bindings> {
    /// Gone when it was given back.
    instance: Option<Instance<B>>,
    plugin: Arc<Shelf>,
    wall: Duration,
    /// The call's own end, which no pause of the caller moves.
    end: Instant,
    /// Since when the guest has waited for its caller.
    idle: Instant,
    record: Record,
    _permit: OwnedSemaphorePermit,
}

/// The trap that the epoch callback raises.
#[derive(Debug, thiserror::Error)]
#[error("the CPU time of the call is used up")]
struct CpuExhausted;

impl<B: Bindings> Visit<B> {
    pub(crate) async fn begin(
        plugin: &Plugin,
        call: &Call,
        pre: &B::Pre,
        function: &'static str,
        wall: Duration,
        permit: OwnedSemaphorePermit,
    ) -> Result<Self, Problem> {
        let now = Instant::now();
        let (deadline, end) = (now + wall, now + wall.max(call.remaining()));
        let meter = Meter::new(plugin.limits.cpu, plugin.lane());
        let mut record = Record::begin(plugin, call, function, Arc::clone(&meter));
        let instance = match plugin.shelf().take::<Instance<B>>() {
            Some(warm) => {
                let mut warm = *warm;
                warm.store.data_mut().again(call.clone(), deadline, meter);
                warm.store.set_hostcall_fuel(plugin.limits.boundary);
                record.instance_age = warm.born.elapsed();
                warm
            }
            None => fresh(plugin, call, pre, deadline, &mut record).await?,
        };
        record.traffic = Arc::clone(&instance.store.data().traffic);
        record.span = instance.store.data().span;
        // Nothing was asked yet.
        record.whole = true;
        Ok(Self {
            instance: Some(instance),
            plugin: Arc::clone(plugin.shelf()),
            wall: plugin.limits.wall,
            end,
            idle: Instant::now(),
            record,
            _permit: permit,
        })
    }

    /// One call across the boundary. After one that failed there is no other: the instance is gone.
    pub(crate) async fn call<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Store<State>, &B) -> wasmtime::Result<T>,
    ) -> Result<T, Problem> {
        self.record.calls += 1;
        let Some(mut instance) = self.instance.take() else {
            let message = format!("the plugin `{}` was called after it failed", self.record.plugin);
            return Err(self.record.failed(Problem::internal(message)));
        };
        // The clock on the wall counts the guest's time, not that of a caller who takes an answer slowly.
        let deadline = (instance.store.data().deadline + self.idle.elapsed()).min(self.end);
        instance.store.data_mut().deadline = deadline;
        self.record.whole = false;
        // A guest that never waits would be asked before the clock.
        if Instant::now() >= deadline {
            return Err(self.record.failed(timed_out(&self.record.plugin)));
        }
        let meter = Arc::clone(&instance.store.data().meter);
        let bindings = Arc::clone(&instance.bindings);
        // Whoever drops this future drops the instance with it: a call that was cut off leaves it unusable.
        let done = timeout_at(deadline, meter.metered(work(&mut instance.store, &bindings))).await;
        self.record.peak_memory = instance.store.data().memory.peak();
        self.idle = Instant::now();
        match done {
            Ok(Ok(value)) => {
                self.instance = Some(instance);
                Ok(value)
            }
            Ok(Err(error)) => {
                let problem = self.record.failed(trapped(&instance.store, &error));
                meter.in_turn(|| drop(instance)).await;
                Err(problem)
            }
            Err(_) => {
                meter.in_turn(|| drop(instance)).await;
                Err(self.record.failed(timed_out(&self.record.plugin)))
            }
        }
    }

    /// Counts the wall clock anew, for a visit that waits for others between its calls.
    pub(crate) fn rest(&mut self, call: &Call) {
        self.rest_for(self.wall.min(call.remaining()));
    }

    /// As [`Self::rest`], for what comes after the call's own end.
    pub(crate) fn rest_for(&mut self, wall: Duration) {
        let now = Instant::now();
        (self.idle, self.end) = (now, self.end.max(now + wall));
        if let Some(instance) = &mut self.instance {
            instance.store.data_mut().deadline = now + wall;
        }
    }

    /// Notes a problem that the guest returned.
    pub(crate) fn returned(&mut self, problem: Problem) -> Problem {
        self.record.failed(problem)
    }

    /// Drops a guest's resource in the guest, where it is not thrown away with its instance.
    pub(crate) async fn drop_resource(&mut self, resource: ResourceAny) -> Result<(), Problem> {
        self.call(async |store, _| resource.resource_drop_async(store).await)
            .await
    }

    /// What was asked so far is answered: a visit that ends here was not cut off.
    pub(crate) fn whole(&mut self) {
        self.record.whole = true;
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.record.whole
    }

    /// The visit has come to its end: a warm plugin's instance is kept for the next one, unless it still holds what belongs to
    /// this one.
    pub(crate) fn done(&mut self) {
        self.whole();
        let Some(mut instance) = self.instance.take() else {
            return;
        };
        instance.uses += 1;
        let state = instance.store.data_mut();
        let spoilt = state.memory.refused || state.memory.crowded || !state.is_free();
        if !spoilt && instance.uses < self.plugin.uses {
            state.forget();
            self.plugin.keep(Box::new(instance));
        }
    }
}

async fn fresh<B: Bindings>(
    plugin: &Plugin,
    call: &Call,
    pre: &B::Pre,
    deadline: Instant,
    record: &mut Record,
) -> Result<Instance<B>, Problem> {
    let slot = plugin.slot().map_err(|problem| record.failed(problem))?;
    let meter = Arc::clone(&record.meter);
    let state = State::new(
        Arc::clone(plugin.shared()),
        call.clone(),
        deadline,
        Arc::clone(&meter),
        plugin.memory_cap(),
    );
    let mut store = Store::new(plugin.runtime().engine(), state);
    store.limiter(|state| &mut state.memory);
    store.set_hostcall_fuel(plugin.limits.boundary);
    store.set_max_component_handles(limits::HANDLES);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(on_epoch);
    let made = timeout_at(deadline, meter.metered(B::instantiate(pre, &mut store))).await;
    record.peak_memory = store.data().memory.peak();
    let bindings = match made {
        Ok(Ok(bindings)) => bindings,
        Ok(Err(error)) => {
            let problem = record.failed(trapped(&store, &error));
            meter.in_turn(|| drop(store)).await;
            return Err(problem);
        }
        Err(_) => {
            meter.in_turn(|| drop(store)).await;
            return Err(record.failed(timed_out(&record.plugin)));
        }
    };
    Ok(Instance {
        store,
        bindings: Arc::new(bindings),
        born: Instant::now(),
        uses: 0,
        _slot: slot,
    })
}

/// Every millisecond of a guest's run: a look at its account, and a chance for others.
fn on_epoch(store: StoreContextMut<'_, State>) -> wasmtime::Result<UpdateDeadline> {
    if store.data().meter.exhausted() {
        return Err(wasmtime::Error::new(CpuExhausted));
    }
    Ok(UpdateDeadline::Yield(1))
}

fn timed_out(plugin: &str) -> Problem {
    Problem::new(
        ProblemKind::Timeout,
        format!("The plugin `{plugin}` did not answer in time."),
    )
}

/// All instances together are as many as the server holds.
pub(crate) fn no_room() -> Problem {
    Problem::new(
        ProblemKind::Overloaded,
        "The server has no room for one more plugin instance.",
    )
    .with_code(POOL_FULL)
    .with_retry_after(Duration::from_secs(1))
}

/// What a guest's end means to the caller.
fn trapped(store: &Store<State>, error: &wasmtime::Error) -> Problem {
    let state = store.data();
    let plugin = &state.shared.name;
    let detail = format!("{error:#}");
    if error.is::<CpuExhausted>() {
        return Problem::new(
            ProblemKind::Timeout,
            format!("The plugin `{plugin}` used up the CPU time of the call."),
        )
        .with_code("plugin_cpu_exhausted")
        .with_detail(detail);
    }
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        return no_room().with_detail(detail);
    }
    if state.memory.crowded {
        let message = format!("The plugins have no room for what `{plugin}` needs now.");
        return Problem::new(ProblemKind::Overloaded, message)
            .with_code(PLUGINS_CROWDED)
            .with_retry_after(Duration::from_secs(1))
            .with_detail(detail);
    }
    let (code, what) = match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => ("plugin_stack_overflow", "ran out of stack"),
        _ if state.memory.refused => ("plugin_memory_exhausted", "ran out of memory"),
        Some(_) => ("plugin_trapped", "crashed"),
        None => ("plugin_fault", "broke the rules of its sandbox"),
    };
    Problem::new(ProblemKind::Internal, format!("The plugin `{plugin}` {what}."))
        .with_code(code)
        .with_detail(detail)
}

/// The crossing of one visit, noted in the call when the visit ends.
struct Record {
    call: Call,
    span: SpanId,
    plugin: String,
    kind: PluginKind,
    function: &'static str,
    start_us: u64,
    meter: Arc<Meter>,
    peak_memory: u64,
    instance_age: Duration,
    traffic: Arc<Traffic>,
    health: Arc<Health>,
    calls: u32,
    /// Whether the guest has answered all that it was asked.
    whole: bool,
    failure: Option<ProblemKind>,
}

impl Record {
    fn begin(plugin: &Plugin, call: &Call, function: &'static str, meter: Arc<Meter>) -> Self {
        plugin.health().began();
        Self {
            call: call.clone(),
            span: SpanId::new(),
            plugin: plugin.name().to_owned(),
            kind: plugin.kind,
            function,
            start_us: now_us(),
            meter,
            peak_memory: 0,
            instance_age: Duration::ZERO,
            traffic: Arc::default(),
            health: Arc::clone(plugin.health()),
            calls: 0,
            whole: false,
            failure: None,
        }
    }

    fn failed(&mut self, problem: Problem) -> Problem {
        self.failure = Some(problem.kind.clone());
        problem
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let wall = u64::try_from(self.meter.age().as_micros()).unwrap_or(u64::MAX);
        let bytes = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let cut_off = (!self.whole).then_some(ProblemKind::Cancelled);
        let crossing = Crossing {
            span: self.span,
            within: self.call.asker(),
            plugin: std::mem::take(&mut self.plugin),
            kind: self.kind,
            function: self.function,
            start_us: self.start_us,
            end_us: self.start_us.saturating_add(wall),
            cpu: self.meter.used() + self.meter.sql.time(),
            peak_memory: self.peak_memory,
            instance_age: self.instance_age,
            calls: self.calls,
            egress_bytes: bytes(&self.traffic.sent).saturating_add(bytes(&self.traffic.received)),
            attempt: self.call.attempt(),
            failure: self.failure.take().or(cut_off),
        };
        self.health.ended(&crossing);
        self.call.crossed(crossing);
    }
}
