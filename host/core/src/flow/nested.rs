//! The models that a plugin may ask in the middle of a call: the same routes, breakers and tries as for callers, without
//! instruments, which would ask themselves, and with no trace of its own: the crossings are the outer call's.

use std::sync::Arc;

use async_trait::async_trait;

use super::ask::{self, Opened};
use crate::call::Call;
use crate::chat::{ChatRequest, Chunk};
use crate::embeddings::{EmbedRequest, EmbedResponse, Ranked, RerankRequest};
use crate::generation::Generation;
use crate::ports::{Completion, RoutedModels};
use crate::problem::Problem;
use crate::supervise::Pass;

/// The models of one generation.
pub(crate) struct Nested(pub(crate) Arc<Generation>);

/// An answer under way; its first words have come already.
struct Begun {
    opened: Opened,
    /// Whether the first words were asked for.
    taken: bool,
    pass: Option<Pass>,
}

#[async_trait]
impl Completion for Begun {
    async fn next(&mut self) -> Result<Option<Vec<Chunk>>, Problem> {
        let Opened {
            completion,
            first,
            shares,
        } = &mut self.opened;
        let said = if std::mem::replace(&mut self.taken, true) {
            shares.turn(true);
            let said = completion.next().await;
            shares.turn(false);
            said
        } else {
            Ok(first.take())
        };
        match (&said, self.pass.take()) {
            (Ok(None), Some(pass)) => pass.succeeded(),
            (Err(problem), Some(pass)) if shares.blame(problem) => pass.ended(problem),
            (Err(_), pass) => drop(pass),
            (_, pass) => self.pass = pass,
        }
        said
    }
}

#[async_trait]
impl RoutedModels for Nested {
    async fn complete(&self, call: &Call, request: ChatRequest) -> Result<Box<dyn Completion>, Problem> {
        let call = call.nested()?;
        let open = |provider, target, call| ask::open(provider, target, call, &request);
        let answered = ask::targets(&self.0, &call, &request.model, |_| {}, open).await?;
        let mut pass = answered.pass;
        if answered.value.first.is_some() {
            pass.begun();
        }
        Ok(Box::new(Begun {
            opened: answered.value,
            taken: false,
            pass: Some(pass),
        }))
    }

    async fn embed(&self, call: &Call, request: EmbedRequest) -> Result<EmbedResponse, Problem> {
        let call = call.nested()?;
        let embed = |provider, target, call| ask::embed(provider, target, call, &request);
        let answered = ask::targets(&self.0, &call, &request.model, |_| {}, embed).await?;
        answered.pass.succeeded();
        Ok(answered.value)
    }

    async fn rerank(&self, call: &Call, request: RerankRequest) -> Result<Vec<Ranked>, Problem> {
        let call = call.nested()?;
        let rerank = |provider, target, call| ask::rerank(provider, target, call, &request);
        let answered = ask::targets(&self.0, &call, &request.model, |_| {}, rerank).await?;
        answered.pass.succeeded();
        Ok(answered.value)
    }
}
