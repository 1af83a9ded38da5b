//! What the host keeps for one instance: whose call it is, what it may use, what it has used.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use encaje_core::Call;
use encaje_core::id::SpanId;
use wasmtime::component::ResourceTable;
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
    wasi: Option<WasiCtx>,
}

impl State {
    pub(crate) fn new(
        shared: Arc<Shared>,
        call: Call,
        deadline: tokio::time::Instant,
        meter: Arc<Meter>,
        memory: usize,
        budget: Arc<MemoryBudget>,
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
            memory: MemoryCap {
                cap: memory,
                used: 0,
                refused: false,
                budget,
            },
            table,
            wasi: None,
        }
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

/// Bytes that the linear memories of all instances take together.
#[derive(Debug, Default)]
pub(crate) struct MemoryBudget(AtomicUsize);

impl MemoryBudget {
    fn take(&self, bytes: usize) -> bool {
        let add = |taken: usize| Some(taken.saturating_add(bytes)).filter(|taken| *taken <= limits::ALL_MEMORIES);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Caps the linear memories of an instance together, and remembers how large they were.
#[derive(Debug)]
pub(crate) struct MemoryCap {
    cap: usize,
    used: usize,
    budget: Arc<MemoryBudget>,
    /// Whether growth was refused; tells a trap for want of memory from another.
    pub(crate) refused: bool,
}

impl MemoryCap {
    /// Linear memory never shrinks, so what is used is the peak.
    pub(crate) fn peak(&self) -> u64 {
        u64::try_from(self.used).unwrap_or(u64::MAX)
    }
}

impl Drop for MemoryCap {
    fn drop(&mut self) {
        self.budget.give_back(self.used);
    }
}

impl wasmtime::ResourceLimiter for MemoryCap {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        let used = self.used.saturating_add(more);
        let fits = used <= self.cap && maximum.is_none_or(|maximum| desired <= maximum);
        let allowed = fits && self.budget.take(more);
        match allowed {
            true => self.used = used,
            false => self.refused = true,
        }
        Ok(allowed)
    }

    fn table_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let allowed = desired <= limits::TABLE_ELEMENTS && maximum.is_none_or(|maximum| desired <= maximum);
        self.refused |= !allowed;
        Ok(allowed)
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
    u64::try_from(origin().elapsed().as_millis())
        .unwrap_or(u64::MAX)
        .saturating_mul(1_000)
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

    fn cap(budget: &Arc<MemoryBudget>, cap: usize) -> MemoryCap {
        MemoryCap {
            cap,
            used: 0,
            refused: false,
            budget: Arc::clone(budget),
        }
    }

    #[test]
    fn memories_are_capped_alone_and_together() {
        let budget = Arc::<MemoryBudget>::default();
        let mut one = cap(&budget, 100);
        assert!(one.memory_growing(0, 60, None).unwrap());
        assert!(!one.memory_growing(60, 101, None).unwrap(), "over its own cap");
        assert!(one.refused);
        let mut large = cap(&budget, usize::MAX);
        assert!(
            !large.memory_growing(0, limits::ALL_MEMORIES, None).unwrap(),
            "over what all may take"
        );
        drop(one);
        assert!(
            large.memory_growing(0, limits::ALL_MEMORIES, None).unwrap(),
            "what was taken is given back"
        );
    }

    #[test]
    fn tables_are_capped() {
        let mut one = cap(&Arc::default(), 100);
        assert!(one.table_growing(0, limits::TABLE_ELEMENTS, None).unwrap());
        assert!(!one.table_growing(0, limits::TABLE_ELEMENTS + 1, None).unwrap());
    }

    #[test]
    fn clocks_go_in_steps_of_a_millisecond() {
        for time in [coarse_now_us(), coarse_monotonic_us()] {
            assert_eq!(time % 1_000, 0);
        }
    }
}
