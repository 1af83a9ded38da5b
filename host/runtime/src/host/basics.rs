//! `call`, `log`, `config`, `clock`: granted to every plugin.

use encaje_bindings::base::encaje::common as types;
use encaje_bindings::base::encaje::host::{call, clock, config, log};
use wasmtime::Result;

use crate::limits;
use crate::output::clipped;
use crate::state::{State, coarse_monotonic_us, coarse_now_us};

// Interfaces of types alone have nothing to implement.
impl types::errors::Host for State {}
impl types::chat::Host for State {}
impl types::embeddings::Host for State {}
impl types::values::Host for State {}
impl types::documents::Host for State {}
impl types::telemetry::Host for State {}

impl call::Host for State {
    fn current(&mut self) -> Result<call::Context> {
        Ok(call::Context {
            tenant: self.call.caller().tenant.clone(),
            user: self.call.caller().user.clone(),
            request_id: self.call.request_id().to_owned(),
            traceparent: format!("00-{}-{}-01", self.call.trace(), self.span),
            session: self.call.session().map(str::to_owned),
            attempt: self.call.attempt(),
            idempotency_key: self.call.idempotency_key().map(str::to_owned),
            remaining_ms: u64::try_from(self.remaining().as_millis()).unwrap_or(u64::MAX),
            extra: Vec::new(),
        })
    }
}

impl log::Host for State {
    fn write(&mut self, level: log::Level, message: String, fields: Vec<(String, String)>) -> Result<()> {
        if !self.log.take() {
            return Ok(());
        }
        let plugin = &*self.shared.name;
        let request = self.call.request_id();
        let mut text = clipped(&message).into_owned();
        for (name, value) in fields.iter().take(limits::LOG_FIELDS) {
            text.push_str(&format!(" {}={}", clipped(name), clipped(value)));
        }
        // One line is one line, whatever a guest writes into it.
        let text = clipped(&text).replace(['\n', '\r'], " ");
        match level {
            log::Level::Trace => tracing::trace!(target: "encaje::plugin", plugin, request, "{text}"),
            log::Level::Debug => tracing::debug!(target: "encaje::plugin", plugin, request, "{text}"),
            log::Level::Info => tracing::info!(target: "encaje::plugin", plugin, request, "{text}"),
            log::Level::Warn => tracing::warn!(target: "encaje::plugin", plugin, request, "{text}"),
            log::Level::Error => tracing::error!(target: "encaje::plugin", plugin, request, "{text}"),
        }
        Ok(())
    }
}

impl config::Host for State {
    fn get(&mut self) -> Result<String> {
        Ok(self.shared.config.clone())
    }
}

impl clock::Host for State {
    fn now_us(&mut self) -> Result<u64> {
        Ok(coarse_now_us())
    }

    fn monotonic_us(&mut self) -> Result<u64> {
        Ok(coarse_monotonic_us())
    }
}
