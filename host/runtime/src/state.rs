//! What the host keeps for one instance: whose call it is, what it may use, what it has used.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use encaje_capabilities::egress::Traffic;
use encaje_core::Call;
use encaje_core::id::SpanId;
use encaje_core::trace::PluginKind;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView, WasiView};

use crate::grants::Capabilities;
use crate::limits;
use crate::meter::Meter;
use crate::output::{GuestOutput, LogBudget, Stream};

/// What all instances of a plugin share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) name: Arc<str>,
    pub(crate) config: String,
    pub(crate) capabilities: Capabilities,
    pub(crate) metrics: crate::host::metrics::Metrics,
}

/// The data of one store.
pub(crate) struct State {
    pub(crate) shared: Arc<Shared>,
    pub(crate) call: Call,
    pub(crate) span: SpanId,
    pub(crate) deadline: tokio::time::Instant,
    pub(crate) meter: Arc<Meter>,
    pub(crate) log: Arc<LogBudget>,
    pub(crate) memory: MemoryCap,
    pub(crate) table: ResourceTable,
    /// Answers of other hosts and models that the guest holds; WASI's own handles are not counted.
    held: usize,
    /// What the visit sent to other hosts and got from them.
    pub(crate) traffic: Arc<Traffic>,
    wasi: Option<WasiCtx>,
}

impl State {
    pub(crate) fn new(
        shared: Arc<Shared>,
        call: Call,
        deadline: tokio::time::Instant,
        meter: Arc<Meter>,
        memory: MemoryCap,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits::HANDLES);
        Self {
            log: LogBudget::new(Arc::clone(&shared.name)),
            shared,
            call,
            span: SpanId::new(),
            deadline,
            meter,
            memory,
            table,
            held: 0,
            traffic: Arc::default(),
            wasi: None,
        }
    }

    /// Gives a guest a handle to something of its visit's.
    pub(crate) fn hand_out<T: Send + 'static, H: 'static>(&mut self, thing: T) -> wasmtime::Result<Resource<H>> {
        let handle = self.table.push(thing)?;
        self.held += 1;
        Ok(Resource::new_own(handle.rep()))
    }

    /// Takes back what was handed out.
    pub(crate) fn take_back<T: Send + 'static, H: 'static>(&mut self, handle: &Resource<H>) -> wasmtime::Result<()> {
        self.table.delete(Resource::<T>::new_own(handle.rep()))?;
        self.held -= 1;
        Ok(())
    }

    /// Whether the guest holds nothing that belongs to its visit.
    pub(crate) fn is_free(&self) -> bool {
        self.held == 0
    }

    /// Lets go of the visit: an instance that waits for its next one must not keep the last caller's generation alive.
    pub(crate) fn forget(&mut self) {
        static NOBODY: LazyLock<Call> = LazyLock::new(|| Call::of_server(Duration::ZERO));
        self.call = NOBODY.clone();
        self.traffic = Arc::default();
    }

    /// What is left of the visit.
    pub(crate) fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(tokio::time::Instant::now())
    }

    /// Serves another visit: of the one before nothing is left but the guest's own memory and its WASI handles.
    pub(crate) fn again(&mut self, call: Call, deadline: tokio::time::Instant, meter: Arc<Meter>) {
        self.log.refill();
        self.call = call;
        self.span = SpanId::new();
        self.deadline = deadline;
        self.meter = meter;
        self.traffic = Arc::default();
    }
}

impl WasiView for State {
    /// Most guests never call WASI, so that its context is made when one does.
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let Self { wasi, log, table, .. } = self;
        WasiCtxView {
            ctx: wasi.get_or_insert_with(|| empty_wasi(log)),
            table,
        }
    }
}

/// No files, no environment, no network, coarse clocks; output goes to the log.
fn empty_wasi(log: &Arc<LogBudget>) -> WasiCtx {
    let output = |stream| GuestOutput {
        budget: Arc::clone(log),
        stream,
    };
    WasiCtx::builder()
        .stdout(output(Stream::Out))
        .stderr(output(Stream::Error))
        .wall_clock(CoarseClock)
        .monotonic_clock(CoarseClock)
        .max_random_size(limits::RANDOM_BYTES)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .build()
}

/// Bytes that linear memories take together.
#[derive(Debug)]
pub(crate) struct MemoryBudget {
    taken: AtomicUsize,
    most: usize,
}

impl MemoryBudget {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            taken: AtomicUsize::new(0),
            most,
        })
    }

    fn take(&self, bytes: usize, reserved: usize) -> bool {
        let most = self.most - reserved;
        let add = |taken: usize| Some(taken.saturating_add(bytes)).filter(|taken| *taken <= most);
        let taken = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        taken.is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Caps the linear memories and tables of an instance together, and remembers how large they were.
#[derive(Debug)]
pub(crate) struct MemoryCap {
    cap: usize,
    used: usize,
    /// Of all plugins.
    all: Arc<MemoryBudget>,
    /// Of this one.
    own: Arc<MemoryBudget>,
    /// What of `all` is not for this plugin.
    reserved: usize,
    /// Whether growth over the instance's own cap was refused; tells a trap for want of memory from another.
    pub(crate) refused: bool,
    /// Whether growth was refused because all instances together have too much.
    pub(crate) crowded: bool,
}

impl MemoryCap {
    pub(crate) fn new(cap: usize, kind: PluginKind, all: Arc<MemoryBudget>, own: Arc<MemoryBudget>) -> Self {
        let reserved = match kind {
            PluginKind::Storage => 0,
            _ => limits::STORAGE_MEMORIES,
        };
        Self {
            cap,
            used: 0,
            all,
            own,
            reserved,
            refused: false,
            crowded: false,
        }
    }

    /// Memories and tables never shrink, so what is used is the peak.
    pub(crate) fn peak(&self) -> u64 {
        u64::try_from(self.used).unwrap_or(u64::MAX)
    }

    /// Whether there is room for so many bytes more.
    fn grow(&mut self, more: usize) -> bool {
        let used = self.used.saturating_add(more);
        if used > self.cap {
            self.refused = true;
            return false;
        }
        if !self.take(more) {
            self.crowded = true;
            return false;
        }
        self.used = used;
        true
    }

    fn take(&self, bytes: usize) -> bool {
        if !self.own.take(bytes, 0) {
            return false;
        }
        let taken = self.all.take(bytes, self.reserved);
        if !taken {
            self.own.give_back(bytes);
        }
        taken
    }
}

impl Drop for MemoryCap {
    fn drop(&mut self) {
        self.own.give_back(self.used);
        self.all.give_back(self.used);
    }
}

impl wasmtime::ResourceLimiter for MemoryCap {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            self.refused = true;
            return Ok(false);
        }
        Ok(self.grow(desired.saturating_sub(current)))
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if desired > limits::TABLE_ELEMENTS || maximum.is_some_and(|maximum| desired > maximum) {
            self.refused = true;
            return Ok(false);
        }
        // There may be many tables, each of them under its own cap.
        let elements = desired.saturating_sub(current);
        Ok(self.grow(elements.saturating_mul(limits::TABLE_ELEMENT_BYTES)))
    }
}

/// Clocks in steps of one millisecond: finer ones measure what else the machine does.
pub(crate) struct CoarseClock;

/// The monotonic origin is the process's first look at it, and says nothing of the machine.
fn origin() -> std::time::Instant {
    static ORIGIN: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    *ORIGIN.get_or_init(std::time::Instant::now)
}

/// Microseconds of UTC since 1970, in steps of one millisecond.
pub(crate) fn coarse_now_us() -> u64 {
    encaje_core::time::now_us() / 1_000 * 1_000
}

/// Microseconds since an arbitrary origin, in steps of one millisecond.
pub(crate) fn coarse_monotonic_us() -> u64 {
    // Some runtimes take a clock that says 0 for a broken one.
    let millis = origin().elapsed().as_millis() + 1;
    u64::try_from(millis).unwrap_or(u64::MAX).saturating_mul(1_000)
}

impl HostWallClock for CoarseClock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_micros(coarse_now_us())
    }
}

impl HostMonotonicClock for CoarseClock {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    fn now(&self) -> u64 {
        coarse_monotonic_us().saturating_mul(1_000)
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::ResourceLimiter as _;

    use super::*;

    /// What 1,000 bytes hold, of which 100 are for storages and 600 for one plugin.
    struct Bench {
        all: Arc<MemoryBudget>,
        own: Arc<MemoryBudget>,
    }

    impl Bench {
        fn new() -> Self {
            Self {
                all: MemoryBudget::new(1_000),
                own: MemoryBudget::new(600),
            }
        }

        fn cap(&self, cap: usize, reserved: usize) -> MemoryCap {
            let (all, own) = (Arc::clone(&self.all), Arc::clone(&self.own));
            let mut made = MemoryCap::new(cap, PluginKind::Provider, all, own);
            made.reserved = reserved;
            made
        }
    }

    #[test]
    fn memories_are_capped_alone_and_together() {
        let bench = Bench::new();
        let mut one = bench.cap(100, 100);
        assert!(one.memory_growing(0, 60, None).unwrap());
        assert!(!one.memory_growing(60, 101, None).unwrap(), "over its own cap");
        assert!(one.refused && !one.crowded);
        let mut large = bench.cap(usize::MAX, 100);
        assert!(
            !large.memory_growing(0, 541, None).unwrap(),
            "over what the plugin's instances may take"
        );
        assert!(large.crowded && !large.refused);
        drop(one);
        assert!(
            large.memory_growing(0, 600, None).unwrap(),
            "what was taken is given back"
        );
    }

    #[test]
    fn greedy_plugins_leave_room_for_others_and_for_a_storage() {
        let bench = Bench::new();
        assert!(bench.cap(usize::MAX, 100).memory_growing(0, 600, None).unwrap());
        let mut greedy = bench.cap(usize::MAX, 100);
        assert!(greedy.memory_growing(0, 600, None).unwrap());
        let other = Bench {
            all: Arc::clone(&bench.all),
            own: MemoryBudget::new(600),
        };
        let mut second = other.cap(usize::MAX, 100);
        assert!(!second.memory_growing(0, 301, None).unwrap());
        assert!(second.memory_growing(0, 300, None).unwrap());
        let mut storage = other.cap(usize::MAX, 0);
        assert!(storage.memory_growing(0, 100, None).unwrap(), "the reserve is its own");
    }

    #[test]
    fn tables_are_capped() {
        let all = || MemoryBudget::new(usize::MAX);
        let full = limits::TABLE_ELEMENTS * limits::TABLE_ELEMENT_BYTES;
        let mut one = MemoryCap::new(full * 2, PluginKind::Storage, all(), all());
        assert!(!one.table_growing(0, limits::TABLE_ELEMENTS + 1, None).unwrap());
        assert!(one.table_growing(0, limits::TABLE_ELEMENTS, None).unwrap());
        assert!(one.table_growing(0, limits::TABLE_ELEMENTS - 1, None).unwrap());
        assert!(
            !one.table_growing(0, 2, None).unwrap(),
            "all of them together, and the memories, have one cap"
        );
        assert!(one.memory_growing(0, limits::TABLE_ELEMENT_BYTES, None).unwrap());
        assert!(!one.memory_growing(0, 1, None).unwrap());
    }

    #[test]
    fn clocks_go_in_steps_of_a_millisecond() {
        for time in [coarse_now_us(), coarse_monotonic_us()] {
            assert!(time > 0 && time % 1_000 == 0, "{time}");
        }
    }
}
