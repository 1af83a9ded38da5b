//! Documents, searches, items of sources, samples and scores.

use encaje_bindings::base::encaje::common::{documents, telemetry, values as guest_values};
use encaje_bindings::evaluator::exports::encaje::evaluator::evaluator;
use encaje_bindings::retriever::exports::encaje::retriever::retriever;
use encaje_bindings::source::exports::encaje::source::source;
use encaje_core::documents::{Document, Passage};
use encaje_core::evaluation::{CorpusScore, MetricInfo, Need, Sample, SampleScore};
use encaje_core::retrieval::{Beginning, CollectionStats, Found, Hit, Item, Link, Origin, Search, Upserted};
use encaje_core::telemetry::Score;
use encaje_core::value::Fields;

use super::{chat, problem, value};

pub(crate) fn fields_to_core(fields: guest_values::Fields) -> Fields {
    fields
        .into_iter()
        .map(|(name, own)| (name, value::to_core(own)))
        .collect()
}

pub(crate) fn document_to_guest(document: Document) -> documents::Document {
    documents::Document {
        id: document.id,
        text: document.text,
        title: document.title,
        url: document.url,
        metadata: value::fields_to_guest(&document.metadata),
        extra: document.extra,
    }
}

fn document_to_core(document: documents::Document) -> Document {
    Document {
        id: document.id,
        text: document.text,
        title: document.title,
        url: document.url,
        metadata: fields_to_core(document.metadata),
        extra: document.extra,
    }
}

fn passage_to_guest(passage: Passage) -> documents::Passage {
    documents::Passage {
        document: passage.document,
        index: passage.index,
        start: passage.start,
        end: passage.end,
        text: passage.text,
        heading: passage.heading,
        metadata: value::fields_to_guest(&passage.metadata),
    }
}

fn passage_to_core(passage: documents::Passage) -> Passage {
    Passage {
        document: passage.document,
        index: passage.index,
        start: passage.start,
        end: passage.end,
        text: passage.text,
        heading: passage.heading,
        metadata: fields_to_core(passage.metadata),
    }
}

pub(crate) fn search_to_guest(search: Search) -> retriever::Query {
    retriever::Query {
        text: search.text,
        k: search.k,
        where_: value::filter_to_guest(&search.filter),
        extra: search.extra,
    }
}

pub(crate) fn found_to_core(found: retriever::Found) -> Found {
    Found {
        hits: found.hits.into_iter().map(hit_to_core).collect(),
        rung: found.rung,
        degraded: found.degraded,
    }
}

fn hit_to_core(hit: retriever::Hit) -> Hit {
    Hit {
        passage: passage_to_core(hit.passage),
        score: hit.score,
        origins: hit
            .origins
            .into_iter()
            .map(|origin| Origin {
                leg: origin.leg,
                rank: origin.rank,
                score: origin.score,
            })
            .collect(),
    }
}

pub(crate) fn upserted_to_core(upserted: retriever::Upserted) -> Upserted {
    Upserted {
        added: upserted.added,
        changed: upserted.changed,
        unchanged: upserted.unchanged,
        passages: upserted.passages,
        windows: upserted.windows,
    }
}

pub(crate) fn stats_to_core(stats: retriever::CollectionStats) -> CollectionStats {
    CollectionStats {
        documents: stats.documents,
        passages: stats.passages,
        bytes: stats.bytes,
        extra: stats.extra,
    }
}

pub(crate) fn beginning_to_core(beginning: source::Beginning) -> Beginning {
    Beginning {
        locations: beginning.locations,
        delay_ms: beginning.delay_ms,
        extra: beginning.extra,
    }
}

pub(crate) fn item_to_core(item: source::Item) -> Item {
    Item {
        document: item.document.map(document_to_core),
        canonical: item.canonical,
        links: item
            .links
            .into_iter()
            .map(|link| Link {
                location: link.location,
                text: link.text,
                follow: link.follow,
            })
            .collect(),
        state: item.state,
        extra: item.extra,
    }
}

pub(crate) fn metric_to_core(metric: evaluator::MetricInfo) -> MetricInfo {
    MetricInfo {
        name: metric.name,
        description: metric.description,
        lowest: metric.lowest,
        highest: metric.highest,
        higher_is_better: metric.higher_is_better,
        needs: metric
            .needs
            .into_iter()
            .map(|need| match need {
                evaluator::Need::References => Need::References,
                evaluator::Need::Question => Need::Question,
                evaluator::Need::Context => Need::Context,
                evaluator::Need::Messages => Need::Messages,
                evaluator::Need::Ranking => Need::Ranking,
                evaluator::Need::Judge => Need::Judge,
                evaluator::Need::Embeddings => Need::Embeddings,
            })
            .collect(),
        deterministic: metric.deterministic,
        params: metric.params,
    }
}

pub(crate) fn sample_to_guest(sample: Sample) -> evaluator::Sample {
    evaluator::Sample {
        id: sample.id,
        output: sample.output,
        references: sample.references,
        question: sample.question,
        context: sample.context.into_iter().map(passage_to_guest).collect(),
        messages: sample.messages.into_iter().map(chat::message_to_guest).collect(),
        ranking: sample.ranking,
        relevant: sample.relevant,
        extra: sample.extra,
    }
}

pub(crate) fn sample_score_to_core(score: evaluator::SampleScore) -> SampleScore {
    SampleScore {
        id: score.id,
        outcome: score.outcome.map(score_to_core).map_err(problem::to_core),
    }
}

pub(crate) fn corpus_to_core(corpus: evaluator::CorpusScore) -> CorpusScore {
    CorpusScore {
        scores: corpus.scores.into_iter().map(score_to_core).collect(),
        usage: corpus.usage.map(chat::usage_to_core),
        extra: corpus.extra,
    }
}

pub(crate) fn score_to_core(score: telemetry::Score) -> Score {
    Score {
        name: score.name,
        value: score.value,
        label: score.label,
        explanation: score.explanation,
        extra: score.extra,
    }
}
