//! Searches a collection: reads one state of it, filters, ranks, and tells which way the hits were found.

use encaje_sdk::errors::{Problem, ProblemKind};
use encaje_sdk::retriever::{Found, Hit, Origin, Passage, Query};
use encaje_sdk::values::{Filter, Value};

use crate::collection::Memory;
use crate::filter::Checked;
use crate::limits::{MAX_HITS, MAX_QUERY, MAX_TRIES};
use crate::rank::{Ranked, by_substring, by_words};
use crate::record::Stored;
use crate::store::Store;

/// A document that passed the filter.
struct Candidate {
    id: String,
    metadata: Vec<(String, Value)>,
    stored: Stored,
}

impl<S: Store> Memory<S> {
    /// The passages that answer a question best.
    pub(crate) fn retrieve(&self, query: &Query) -> Result<Found, Problem> {
        check(query)?;
        let candidates = self.candidates(&query.where_)?;
        let mut places = Vec::new();
        let mut texts = Vec::new();
        for candidate in &candidates {
            for (index, (start, end)) in (0_u32..).zip(&candidate.stored.passages) {
                // A passage that is not within its text comes from a damaged entry; there is nothing to show of it.
                if let Some(text) = candidate.stored.content.text.get(*start..*end) {
                    places.push((candidate, index, *start, *end));
                    texts.push(text);
                }
            }
        }
        let (rung, degraded, ranked) = rank(&query.text, &texts);
        let k = usize::try_from(query.k).unwrap_or(usize::MAX);
        let hit = |(rank, found): (u32, &Ranked)| {
            let ((candidate, index, start, end), text) = places.get(found.place).zip(texts.get(found.place))?;
            let score = found.score as f32;
            Some(Hit {
                passage: Passage {
                    document: candidate.id.clone(),
                    index: *index,
                    start: *start as u64,
                    end: *end as u64,
                    text: (*text).to_owned(),
                    heading: Vec::new(),
                    metadata: candidate.metadata.clone(),
                },
                score,
                origins: vec![Origin {
                    leg: rung.to_owned(),
                    rank,
                    score,
                }],
            })
        };
        Ok(Found {
            hits: (1_u32..).zip(ranked.iter().take(k)).filter_map(hit).collect(),
            rung: rung.to_owned(),
            degraded: degraded.map(str::to_owned),
        })
    }

    /// The documents that match a filter, all of one state of the collection.
    fn candidates(&self, filter: &Filter) -> Result<Vec<Candidate>, Problem> {
        for tries in 0..MAX_TRIES {
            let (index, version) = self.load()?;
            let mut checked = Checked::new(filter)?;
            let mut candidates = Vec::new();
            let mut gone = None;
            for (id, line) in &index.documents {
                let Some(stored) = self.entry(line)? else {
                    gone = Some(id);
                    break;
                };
                let metadata = stored.content.metadata();
                if checked.holds(id, &metadata) {
                    candidates.push(Candidate {
                        id: id.clone(),
                        metadata,
                        stored,
                    });
                }
            }
            let Some(gone) = gone else {
                return checked.finish().map(|()| candidates);
            };
            if self.load()?.1 == version {
                let detail = format!("the index names the document `{gone}`, and its entry is gone");
                return Err(Problem::internal("the collection is damaged; index it anew").with_log_detail(detail));
            }
            self.pause(tries);
        }
        let message = "the collection changes faster than it can be read; try again";
        Err(Problem::new(ProblemKind::Overloaded, message).with_retry_after(std::time::Duration::from_millis(100)))
    }
}

fn check(query: &Query) -> Result<(), Problem> {
    if let Some((name, _)) = query.extra.first() {
        return Err(Problem::unsupported(format!("there is no parameter `{name}`")).with_param(name.as_str()));
    }
    if query.k == 0 || query.k > MAX_HITS {
        return Err(Problem::invalid_request(format!("`k` must lie between 1 and {MAX_HITS}")).with_param("k"));
    }
    if query.text.trim().is_empty() {
        return Err(Problem::invalid_request("the question is empty").with_param("text"));
    }
    if query.text.len() > MAX_QUERY {
        let message = format!("the question has more than {MAX_QUERY} bytes; shorten it");
        return Err(Problem::too_large(message).with_param("text"));
    }
    Ok(())
}

fn rank(question: &str, texts: &[&str]) -> (&'static str, Option<&'static str>, Vec<Ranked>) {
    let by_words = by_words(question, texts);
    if !by_words.is_empty() {
        return ("keyword", None, by_words);
    }
    let by_substring = by_substring(question, texts);
    if by_substring.is_empty() {
        return ("keyword", None, by_substring);
    }
    let why = "no passage has a word of the question; these contain it as it is written";
    ("substring", Some(why), by_substring)
}
