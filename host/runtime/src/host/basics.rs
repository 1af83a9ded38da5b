//! `call`, `log`, `config`, `clock`: granted to every plugin.

use encaje_bindings::base::encaje::common as types;
use encaje_bindings::base::encaje::host::{call, clock, config, log};
use sha2::{Digest as _, Sha256};
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
            idempotency_key: self.idempotency_key(),
            remaining_ms: u64::try_from(self.remaining().as_millis()).unwrap_or(u64::MAX),
            extra: Vec::new(),
        })
    }
}

impl State {
    /// A key of the caller's call at this plugin. Upstreams see one account, the operator's, so that two tenants' keys must
    /// not meet there, nor those of a call and of another one that a plugin makes in its course.
    fn idempotency_key(&self) -> Option<String> {
        let key = self.call.idempotency_key().filter(|_| self.call.depth() == 0)?;
        let caller = self.call.caller();
        let mut hash = Sha256::new();
        for part in [
            &*self.shared.name,
            &caller.tenant,
            caller.user.as_deref().unwrap_or_default(),
            key,
        ] {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        Some(format!("{:x}", hash.finalize()))
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
