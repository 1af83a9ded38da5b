//! Where a guest's standard output and error go: the log, line by line, with the plugin's name, bounded.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

use crate::limits;

/// How many lines a visit may still write, its log calls and its output together.
#[derive(Debug)]
pub(crate) struct LogBudget {
    plugin: Arc<str>,
    left: AtomicU32,
}

impl LogBudget {
    pub(crate) fn new(plugin: Arc<str>) -> Arc<Self> {
        Arc::new(Self {
            plugin,
            left: AtomicU32::new(limits::LOG_LINES),
        })
    }

    /// Whether one more line may be written; says so once when none may.
    pub(crate) fn take(&self) -> bool {
        let taken = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if taken == Ok(1) {
            tracing::warn!(plugin = %self.plugin, "wrote {} lines in one call; the rest is dropped", limits::LOG_LINES);
        }
        taken.is_ok_and(|left| left > 1)
    }

    /// For the next visit of the same instance.
    pub(crate) fn refill(&self) {
        self.left.store(limits::LOG_LINES, Ordering::Relaxed);
    }

    pub(crate) fn plugin(&self) -> &str {
        &self.plugin
    }
}

/// A text cut to what a log line may hold.
pub(crate) fn clipped(text: &str) -> std::borrow::Cow<'_, str> {
    if text.len() <= limits::LOG_LINE {
        return text.into();
    }
    let end = text.floor_char_boundary(limits::LOG_LINE);
    format!("{}… ({} bytes)", text.get(..end).unwrap_or_default(), text.len()).into()
}

/// Which of the two streams.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    Out,
    Error,
}

/// One stream of one visit.
#[derive(Clone)]
pub(crate) struct GuestOutput {
    pub(crate) budget: Arc<LogBudget>,
    pub(crate) stream: Stream,
}

impl IsTerminal for GuestOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestOutput {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(LineWriter {
            output: self.clone(),
            line: Vec::new(),
            dropped: 0,
        })
    }
}

/// Gathers bytes to lines. What is left at the end is a line too.
struct LineWriter {
    output: GuestOutput,
    line: Vec<u8>,
    dropped: usize,
}

impl LineWriter {
    fn push(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            self.keep(line);
            self.write_line();
            bytes = rest.get(1..).unwrap_or_default();
        }
        self.keep(bytes);
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = limits::LOG_LINE.saturating_sub(self.line.len());
        let kept = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.line.extend_from_slice(kept);
        self.dropped += bytes.len() - kept.len();
    }

    fn write_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let dropped = std::mem::take(&mut self.dropped);
        if (line.is_empty() && dropped == 0) || !self.output.budget.take() {
            return;
        }
        let text = String::from_utf8_lossy(&line);
        let plugin = self.output.budget.plugin();
        match self.output.stream {
            Stream::Out => tracing::info!(target: "encaje::plugin", plugin, dropped, "{text}"),
            Stream::Error => tracing::warn!(target: "encaje::plugin", plugin, dropped, "{text}"),
        }
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        self.write_line();
    }
}

impl AsyncWrite for LineWriter {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.push(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
