//! `secrets`: which keys there are, and for the few that were granted it, what they are.

use encaje_bindings::base::encaje::host::secrets;

use super::{Answer, answer, denied};
use crate::convert::problem;
use crate::state::State;

impl secrets::Host for State {
    fn available(&mut self) -> wasmtime::Result<Vec<String>> {
        let egress = self.shared.capabilities.http.as_ref();
        Ok(egress.map(|egress| egress.secrets()).unwrap_or_default())
    }

    fn reveal(&mut self, name: String) -> Answer<String> {
        match &self.shared.capabilities.http {
            Some(egress) => answer(egress.reveal(&name)),
            None => {
                let line = "secrets = { NAME = { …, reveal = true } }";
                Ok(Err(problem::to_guest(denied(&self.shared.name, "secrets", line))))
            }
        }
    }
}
