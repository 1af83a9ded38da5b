//! What a run of the kit is told. Every setting has a default that suits an implementation that nobody knows.

use std::time::Duration;

use encaje_core::call::{Call, CallParts, Caller};

use crate::limits;

/// How a run goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What the random cases are made of: the same seed asks the same questions.
    pub seed: u64,
    /// Random cases of each property check; 0 counts as 1.
    pub cases: u32,
    /// A check that has not ended by then has failed.
    pub check_time: Duration,
    /// The chat model that is asked; absent is the first that the provider lists.
    pub model: Option<String>,
    /// The model that embeds; absent is the first that says so, else the chat model.
    pub embedding_model: Option<String>,
    /// The model that ranks; absent is the first that says so, else the chat model.
    pub rerank_model: Option<String>,
    /// Tokens that an answer may have.
    pub answer_tokens: u32,
    /// Whether a provider passes on what it does not know, so that its upstream refuses it or not; else it must itself.
    pub forwards: bool,
    /// The `params`, a JSON text, that each metric of an evaluator is started with.
    pub params: String,
    /// Words that an instrumentor reacts to, so that there is something to find.
    pub words: Vec<String>,
    /// The `spec`, a JSON text, that a retriever's collections are made with.
    pub spec: String,
    /// A `spec` that does not go with the first; absent leaves out the check of it.
    pub other_spec: Option<String>,
    /// Whose data the kit writes: nothing else may be written under this tenant.
    pub tenant: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 0,
            cases: limits::CASES,
            check_time: limits::CHECK_TIME,
            model: None,
            embedding_model: None,
            rerank_model: None,
            answer_tokens: limits::ANSWER_TOKENS,
            forwards: false,
            params: "{}".to_owned(),
            words: Vec::new(),
            spec: "{}".to_owned(),
            other_spec: None,
            tenant: "encaje-testkit".to_owned(),
        }
    }
}

impl Settings {
    /// A call of the kit's own tenant.
    pub(crate) fn call(&self) -> Call {
        self.call_of(&self.tenant)
    }

    /// A call of somebody else.
    pub(crate) fn other_call(&self) -> Call {
        self.call_of(&format!("{}-other", self.tenant))
    }

    fn call_of(&self, tenant: &str) -> Call {
        Call::new(CallParts {
            caller: Caller {
                tenant: tenant.to_owned(),
                user: None,
            },
            request_id: encaje_core::id::request_id(),
            parent: None,
            session: None,
            idempotency_key: None,
            time_limit: self.check_time,
        })
    }
}
