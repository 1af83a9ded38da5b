//! Embeddings and rankings.

use encaje_bindings::base::encaje::common::embeddings as guest;
use encaje_core::embeddings::{EmbedInput, EmbedRequest, EmbedResponse, Purpose, Ranked, RerankRequest};

use super::chat::{usage_to_core, usage_to_guest};

pub(crate) fn request_to_guest(request: EmbedRequest) -> guest::EmbedRequest {
    guest::EmbedRequest {
        model: request.model,
        inputs: request
            .inputs
            .into_iter()
            .map(|input| match input {
                EmbedInput::Text(text) => guest::EmbedInput::Text(text),
                EmbedInput::Tokens(tokens) => guest::EmbedInput::Tokens(tokens),
            })
            .collect(),
        purpose: match request.purpose {
            Purpose::Unspecified => guest::Purpose::Unspecified,
            Purpose::Query => guest::Purpose::Query,
            Purpose::Document => guest::Purpose::Document,
            Purpose::Similarity => guest::Purpose::Similarity,
        },
        dimensions: request.dimensions,
        extra: request.extra,
    }
}

pub(crate) fn request_to_core(request: guest::EmbedRequest) -> EmbedRequest {
    EmbedRequest {
        model: request.model,
        inputs: request
            .inputs
            .into_iter()
            .map(|input| match input {
                guest::EmbedInput::Text(text) => EmbedInput::Text(text),
                guest::EmbedInput::Tokens(tokens) => EmbedInput::Tokens(tokens),
            })
            .collect(),
        purpose: match request.purpose {
            guest::Purpose::Unspecified => Purpose::Unspecified,
            guest::Purpose::Query => Purpose::Query,
            guest::Purpose::Document => Purpose::Document,
            guest::Purpose::Similarity => Purpose::Similarity,
        },
        dimensions: request.dimensions,
        extra: request.extra,
    }
}

pub(crate) fn response_to_guest(response: EmbedResponse) -> guest::EmbedResponse {
    guest::EmbedResponse {
        dimensions: response.dimensions,
        vectors: response.vectors,
        covered: response.covered,
        usage: usage_to_guest(response.usage),
        extra: response.extra,
    }
}

pub(crate) fn response_to_core(response: guest::EmbedResponse) -> EmbedResponse {
    EmbedResponse {
        dimensions: response.dimensions,
        vectors: response.vectors,
        covered: response.covered,
        usage: usage_to_core(response.usage),
        extra: response.extra,
    }
}

pub(crate) fn rerank_to_guest(request: RerankRequest) -> guest::RerankRequest {
    guest::RerankRequest {
        model: request.model,
        query: request.query,
        documents: request.documents,
        top: request.top,
        extra: request.extra,
    }
}

pub(crate) fn rerank_to_core(request: guest::RerankRequest) -> RerankRequest {
    RerankRequest {
        model: request.model,
        query: request.query,
        documents: request.documents,
        top: request.top,
        extra: request.extra,
    }
}

pub(crate) fn ranked_to_guest(ranked: Ranked) -> guest::Ranked {
    guest::Ranked {
        index: ranked.index,
        score: ranked.score,
    }
}

pub(crate) fn ranked_to_core(ranked: guest::Ranked) -> Ranked {
    Ranked {
        index: ranked.index,
        score: ranked.score,
    }
}
