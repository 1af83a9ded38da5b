//! The ports `Evaluator`, `Retriever` and `DocumentSource` over guests.

use async_trait::async_trait;
use encaje_bindings::{evaluator, retriever, source};
use encaje_core::documents::Document;
use encaje_core::evaluation::{CorpusScore, MetricInfo, Sample, SampleScore};
use encaje_core::ports::{Collection, DocumentSource, Evaluation, Evaluator, Retriever};
use encaje_core::retrieval::{Beginning, CollectionStats, Found, Item, Search, Upserted};
use encaje_core::value::Filter;
use encaje_core::{Call, Problem};
use wasmtime::component::ResourceAny;

use super::{adapter, answered, bindings};
use crate::convert::{knowledge as convert, value};
use crate::visit::Visit;

bindings!(evaluator::Plugin, evaluator::PluginPre);
bindings!(retriever::Plugin, retriever::PluginPre);
bindings!(source::Plugin, source::PluginPre);

adapter! {
    /// An evaluator plugin.
    EvaluatorPlugin, "evaluator", evaluator::Plugin
}

adapter! {
    /// A retriever plugin.
    RetrieverPlugin, "retriever", retriever::Plugin
}

adapter! {
    /// A source plugin.
    SourcePlugin, "source", source::Plugin
}

#[async_trait]
impl Evaluator for EvaluatorPlugin {
    fn name(&self) -> &str {
        self.plugin.name()
    }

    async fn metrics(&self, call: &Call) -> Result<Vec<MetricInfo>, Problem> {
        let mut visit = self.visit(call, "metrics").await?;
        let said = visit
            .call(async |store, guest| guest.encaje_evaluator_evaluator().call_metrics(store).await)
            .await?;
        let metrics = answered!(visit, said);
        visit.done();
        Ok(metrics?.into_iter().map(convert::metric_to_core).collect())
    }

    async fn start(&self, call: &Call, metric: &str, params: &str) -> Result<Box<dyn Evaluation>, Problem> {
        let mut visit = self.visit(call, "evaluate").await?;
        let params = params.to_owned();
        let said = visit
            .call(async |store, guest| {
                let evaluator = guest.encaje_evaluator_evaluator();
                evaluator.call_start(store, metric, &params).await
            })
            .await?;
        let run = answered!(visit, said)?;
        Ok(Box::new(Running { visit, run }))
    }
}

struct Running {
    visit: Visit<evaluator::Plugin>,
    run: ResourceAny,
}

#[async_trait]
impl Evaluation for Running {
    async fn push(&mut self, samples: Vec<Sample>) -> Result<Vec<SampleScore>, Problem> {
        let (count, run) = (samples.len(), self.run);
        let samples: Vec<_> = samples.into_iter().map(convert::sample_to_guest).collect();
        let said = self
            .visit
            .call(async |store, guest| {
                let evaluator = guest.encaje_evaluator_evaluator();
                evaluator.run().call_push(store, run, &samples).await
            })
            .await?;
        let scores = answered!(self.visit, said)?;
        if scores.len() != count {
            let message = format!("the evaluator returned {} scores for {count} samples", scores.len());
            return Err(self.visit.returned(Problem::internal(message)));
        }
        Ok(scores.into_iter().map(convert::sample_score_to_core).collect())
    }

    async fn finish(&mut self) -> Result<CorpusScore, Problem> {
        let run = self.run;
        let said = self
            .visit
            .call(async |store, guest| guest.encaje_evaluator_evaluator().run().call_finish(store, run).await)
            .await?;
        let corpus = answered!(self.visit, said)?;
        self.visit.drop_resource(run).await?;
        self.visit.done();
        Ok(convert::corpus_to_core(corpus))
    }
}

#[async_trait]
impl Retriever for RetrieverPlugin {
    fn name(&self) -> &str {
        self.plugin.name()
    }

    async fn open(&self, call: &Call, name: &str, spec: &str) -> Result<Box<dyn Collection>, Problem> {
        let mut visit = self.visit(call, "open").await?;
        let spec = spec.to_owned();
        let said = visit
            .call(async |store, guest| guest.encaje_retriever_retriever().call_open(store, name, &spec).await)
            .await?;
        let collection = answered!(visit, said)?;
        visit.whole();
        Ok(Box::new(Opened {
            visit,
            call: call.clone(),
            collection,
        }))
    }
}

struct Opened {
    visit: Visit<retriever::Plugin>,
    call: Call,
    collection: ResourceAny,
}

#[async_trait]
impl Collection for Opened {
    async fn upsert(&mut self, documents: Vec<Document>) -> Result<Upserted, Problem> {
        self.visit.rest(&self.call);
        let collection = self.collection;
        let documents: Vec<_> = documents.into_iter().map(convert::document_to_guest).collect();
        let said = self
            .visit
            .call(async |store, guest| {
                let retriever = guest.encaje_retriever_retriever().collection();
                retriever.call_upsert(store, collection, &documents).await
            })
            .await?;
        let answer = answered!(self.visit, said)?;
        self.visit.whole();
        Ok(convert::upserted_to_core(answer))
    }

    async fn remove(&mut self, filter: &Filter) -> Result<u64, Problem> {
        self.visit.rest(&self.call);
        let collection = self.collection;
        let filter = value::filter_to_guest(filter);
        let said = self
            .visit
            .call(async |store, guest| {
                let retriever = guest.encaje_retriever_retriever().collection();
                retriever.call_remove(store, collection, &filter).await
            })
            .await?;
        let answer = answered!(self.visit, said)?;
        self.visit.whole();
        Ok(answer)
    }

    async fn retrieve(&mut self, search: Search) -> Result<Found, Problem> {
        self.visit.rest(&self.call);
        let collection = self.collection;
        let search = convert::search_to_guest(search);
        let said = self
            .visit
            .call(async |store, guest| {
                let retriever = guest.encaje_retriever_retriever().collection();
                retriever.call_retrieve(store, collection, &search).await
            })
            .await?;
        let answer = answered!(self.visit, said)?;
        self.visit.whole();
        Ok(convert::found_to_core(answer))
    }

    async fn stats(&mut self) -> Result<CollectionStats, Problem> {
        self.visit.rest(&self.call);
        let collection = self.collection;
        let said = self
            .visit
            .call(async |store, guest| {
                let retriever = guest.encaje_retriever_retriever().collection();
                retriever.call_stats(store, collection).await
            })
            .await?;
        let answer = answered!(self.visit, said)?;
        self.visit.whole();
        Ok(convert::stats_to_core(answer))
    }

    async fn close(&mut self) -> Result<(), Problem> {
        self.visit.rest(&self.call);
        self.visit.drop_resource(self.collection).await?;
        self.visit.done();
        Ok(())
    }
}

#[async_trait]
impl DocumentSource for SourcePlugin {
    fn name(&self) -> &str {
        self.plugin.name()
    }

    async fn begin(&self, call: &Call, location: &str) -> Result<Beginning, Problem> {
        let mut visit = self.visit(call, "begin").await?;
        let said = visit
            .call(async |store, guest| guest.encaje_source_source().call_begin(store, location).await)
            .await?;
        let beginning = answered!(visit, said);
        visit.done();
        beginning.map(convert::beginning_to_core)
    }

    async fn fetch(&self, call: &Call, location: &str, state: Option<&str>) -> Result<Item, Problem> {
        let mut visit = self.visit(call, "fetch").await?;
        let state = state.map(str::to_owned);
        let said = visit
            .call(async |store, guest| {
                guest
                    .encaje_source_source()
                    .call_fetch(store, location, state.as_ref())
                    .await
            })
            .await?;
        let item = answered!(visit, said);
        visit.done();
        item.map(convert::item_to_core)
    }
}
