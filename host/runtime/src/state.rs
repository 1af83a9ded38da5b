//! What the host keeps for one instance: whose call it is, what it may use, what it has used.

use std::sync::Arc;
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
                ..MemoryCap::default()
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

/// Caps the linear memories of an instance together, and remembers how large they were.
#[derive(Debug, Default)]
pub(crate) struct MemoryCap {
    cap: usize,
    used: usize,
    /// Whether growth was refused; tells a trap for want of memory from another.
    pub(crate) refused: bool,
}

impl MemoryCap {
    /// Linear memory never shrinks, so what is used is the peak.
    pub(crate) fn peak(&self) -> u64 {
        u64::try_from(self.used).unwrap_or(u64::MAX)
    }
}

impl wasmtime::ResourceLimiter for MemoryCap {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        let allowed = used <= self.cap && maximum.is_none_or(|maximum| desired <= maximum);
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
