//! A source of two texts, and its wrong sisters.

use std::collections::BTreeSet;
use std::sync::Mutex;

use async_trait::async_trait;
use encaje_core::call::Call;
use encaje_core::documents::Document;
use encaje_core::ports::DocumentSource;
use encaje_core::retrieval::{Beginning, Item, Link};
use encaje_core::{Problem, ProblemKind};

use super::{assert_caught, assert_passes, settings};
use crate::{Outcome, Report, source};

#[derive(Default)]
struct Texts {
    wrong: &'static str,
    /// What was fetched so far.
    fetched: Mutex<BTreeSet<String>>,
}

const TEXTS: [(&str, &str); 2] = [("text:one", "The first."), ("text:two", "The second.")];

#[async_trait]
impl DocumentSource for Texts {
    fn name(&self) -> &str {
        "texts"
    }

    async fn begin(&self, _: &Call, location: &str) -> Result<Beginning, Problem> {
        let message = if self.wrong == "silent" {
            ""
        } else {
            "There is nothing here."
        };
        if location != "text:" && self.wrong != "anywhere" {
            return Err(Problem::new(ProblemKind::NotFound, message));
        }
        let locations = TEXTS.iter().map(|(location, _)| match self.wrong {
            "relative" => location.replace("text:", "./"),
            _ => (*location).to_owned(),
        });
        Ok(Beginning {
            locations: locations.collect(),
            delay_ms: 0,
            extra: Vec::new(),
        })
    }

    async fn fetch(&self, _: &Call, asked: &str, state: Option<&str>) -> Result<Item, Problem> {
        let name = asked.split('#').next().unwrap_or_default();
        let Some((location, text)) = TEXTS.iter().find(|(own, _)| *own == name) else {
            let kind = if self.wrong == "untyped" {
                ProblemKind::Internal
            } else {
                ProblemKind::NotFound
            };
            return Err(Problem::new(kind, "There is nothing here."));
        };
        let own_state = format!("\"{}\"", text.len());
        let seen = !self.fetched.lock().unwrap().insert(name.to_owned()) && self.wrong == "seen";
        let changed = (state != Some(own_state.as_str()) && !seen) || self.wrong == "forgetful";
        let document = Document {
            id: (*location).to_owned(),
            text: (*text).to_owned(),
            title: None,
            url: None,
            metadata: Vec::new(),
            extra: Vec::new(),
        };
        let link = if self.wrong == "links" { "../two" } else { "text:two" };
        Ok(Item {
            document: (changed && self.wrong != "empty").then_some(document),
            canonical: if self.wrong == "drifting" {
                format!("{asked}#again")
            } else {
                name.to_owned()
            },
            links: vec![Link {
                location: link.to_owned(),
                text: "two".to_owned(),
                follow: true,
            }],
            state: if self.wrong == "state" {
                "half".to_owned()
            } else {
                own_state
            },
            extra: Vec::new(),
        })
    }
}

async fn judged(wrong: &'static str) -> Report {
    let texts = Texts {
        wrong,
        ..Texts::default()
    };
    source(&texts, Some("text:"), &settings()).await
}

#[tokio::test]
async fn a_right_source_passes() {
    assert_passes(&judged("").await);
}

#[tokio::test]
async fn without_a_location_only_refusals_are_judged() {
    let report = source(&Texts::default(), None, &settings()).await;
    assert!(report.passed(), "{report}");
    let skipped = report
        .checks
        .iter()
        .filter(|check| matches!(check.outcome, Outcome::Skipped(_)));
    assert_eq!(skipped.count(), 6, "{report}");
}

#[tokio::test]
async fn each_wrong_source_is_caught_by_its_check() {
    for (wrong, check) in [
        ("relative", "it begins with absolute locations, each once"),
        ("empty", "what it begins with can be fetched"),
        ("state", "what it begins with can be fetched"),
        ("seen", "what it begins with can be fetched"),
        ("forgetful", "an item that has not changed comes without a document"),
        (
            "drifting",
            "an item is known by the same name from wherever it is fetched",
        ),
        ("links", "links are absolute"),
        ("anywhere", "a location that nothing is at is refused by class"),
        ("silent", "a location that nothing is at is refused by class"),
        ("untyped", "odd locations are refused by class"),
    ] {
        assert_caught(&judged(wrong).await, check);
    }
}
