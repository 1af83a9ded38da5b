//! Plugins that were built for the previous minor version of the contracts, 0.0 (`wit/previous`): their imports and exports
//! in terms of the current one. Nothing outside this module knows what has changed.
//!
//! An interface that is the same in both is taken for the current one, under its name; `tests/it/wit.rs` compares them. The
//! others are bound apart and converted here: `host/log` (a line had no fields) and `provider` (one chunk at a time, no
//! ranking, no counting).

mod names;

use encaje_bindings::base::encaje::common::chat::{ChatRequest, Chunk};
use encaje_bindings::base::encaje::common::embeddings::{EmbedRequest, EmbedResponse, Ranked, RerankRequest};
use encaje_bindings::base::encaje::common::errors::Problem as GuestProblem;
use encaje_bindings::base::encaje::host::log as current_log;
use encaje_bindings::previous::encaje::host::log;
use encaje_bindings::previous::exports::encaje::provider::provider as old;
use encaje_bindings::provider::exports::encaje::provider::provider as current;
use encaje_bindings::{previous, provider};
use encaje_core::{Problem, ProblemKind};
use wasmtime::component::{HasSelf, InstancePre, Linker, ResourceAny};
use wasmtime::{Result, Store};

use crate::convert::problem;
use crate::state::State;
use crate::visit::{Bindings, Said};

pub(crate) use names::{VERSION, offers, renamed};

/// Links what has changed; the rest is linked already.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    log::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}

impl log::Host for State {
    fn write(&mut self, level: log::Level, message: String) -> Result<()> {
        let level = match level {
            log::Level::Trace => current_log::Level::Trace,
            log::Level::Debug => current_log::Level::Debug,
            log::Level::Info => current_log::Level::Info,
            log::Level::Warn => current_log::Level::Warn,
            log::Level::Error => current_log::Level::Error,
        };
        current_log::Host::write(self, level, message, Vec::new())
    }
}

/// A provider's bindings, of whichever version, as the current one's.
pub(crate) enum Provider {
    Current(provider::Plugin),
    Previous(previous::Plugin),
}

/// Their linked form.
pub(crate) enum ProviderPre {
    Current(provider::PluginPre<State>),
    Previous(previous::PluginPre<State>),
}

impl Bindings for Provider {
    type Pre = ProviderPre;

    /// Finds the exports of either version. The error is of the current one, which a plugin should be built for.
    fn link(pre: InstancePre<State>) -> Result<ProviderPre> {
        match provider::PluginPre::new(pre.clone()) {
            Ok(current) => Ok(ProviderPre::Current(current)),
            Err(error) => {
                let previous = previous::PluginPre::new(pre);
                previous.map(ProviderPre::Previous).map_err(|_| error)
            }
        }
    }

    async fn instantiate(pre: &ProviderPre, store: &mut Store<State>) -> Result<Self> {
        match pre {
            ProviderPre::Current(pre) => pre.instantiate_async(store).await.map(Self::Current),
            ProviderPre::Previous(pre) => pre.instantiate_async(store).await.map(Self::Previous),
        }
    }

    async fn check(&self, store: &mut Store<State>) -> Said<Vec<String>> {
        match self {
            Self::Current(guest) => guest.encaje_common_lifecycle().call_check(store).await,
            Self::Previous(guest) => guest.encaje_common_lifecycle().call_check(store).await,
        }
    }
}

impl Provider {
    pub(crate) async fn models(&self, store: &mut Store<State>) -> Said<Vec<current::ModelInfo>> {
        match self {
            Self::Current(guest) => guest.encaje_provider_provider().call_models(store).await,
            Self::Previous(guest) => {
                let said = guest.encaje_provider_provider().call_models(store).await?;
                Ok(said.map(|models| models.into_iter().map(model).collect()))
            }
        }
    }

    pub(crate) async fn complete(&self, store: &mut Store<State>, request: &ChatRequest) -> Said<ResourceAny> {
        match self {
            Self::Current(guest) => guest.encaje_provider_provider().call_complete(store, request).await,
            Self::Previous(guest) => guest.encaje_provider_provider().call_complete(store, request).await,
        }
    }

    pub(crate) async fn next(&self, store: &mut Store<State>, completion: ResourceAny) -> Said<Option<Vec<Chunk>>> {
        match self {
            Self::Current(guest) => {
                let provider = guest.encaje_provider_provider();
                provider.completion().call_next(store, completion).await
            }
            Self::Previous(guest) => {
                let provider = guest.encaje_provider_provider();
                let said = provider.completion().call_next(store, completion).await?;
                Ok(said.map(|chunk| chunk.map(|chunk| vec![chunk])))
            }
        }
    }

    pub(crate) async fn embed(&self, store: &mut Store<State>, request: &EmbedRequest) -> Said<EmbedResponse> {
        match self {
            Self::Current(guest) => guest.encaje_provider_provider().call_embed(store, request).await,
            Self::Previous(guest) => guest.encaje_provider_provider().call_embed(store, request).await,
        }
    }

    pub(crate) async fn rerank(&self, store: &mut Store<State>, request: &RerankRequest) -> Said<Vec<Ranked>> {
        match self {
            Self::Current(guest) => guest.encaje_provider_provider().call_rerank(store, request).await,
            Self::Previous(_) => Ok(Err(lacking("ranks no documents"))),
        }
    }

    pub(crate) async fn count_tokens(&self, store: &mut Store<State>, request: &ChatRequest) -> Said<u32> {
        match self {
            Self::Current(guest) => guest.encaje_provider_provider().call_count_tokens(store, request).await,
            Self::Previous(_) => Ok(Err(lacking("counts no tokens"))),
        }
    }
}

fn lacking(what: &str) -> GuestProblem {
    let words = format!("The provider was built for version {VERSION} of the plugin contracts, which {what}.");
    problem::to_guest(Problem::new(ProblemKind::Unsupported, words))
}

fn model(model: old::ModelInfo) -> current::ModelInfo {
    current::ModelInfo {
        id: model.id,
        owned_by: model.owned_by,
        created: None,
        context_tokens: model.context_tokens,
        max_output_tokens: None,
        capabilities: model.capabilities,
        extra: Vec::new(),
    }
}
