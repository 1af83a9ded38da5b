//! A guard in the path of every call: keywords and patterns in what is asked (`before`) and in what is answered (`filter`,
//! across the borders of chunks); what was found goes to the trace (`after`), counted and by the rule's place, never as
//! text. It asks no model and needs no grant.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "a failed expectation is a failed test"
    )
)]

mod answer;
mod config;
mod keywords;
mod limits;
mod request;
mod rules;
mod scan;
mod tally;
#[cfg(test)]
mod testing;

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use encaje_sdk::chat::{ChatRequest, Chunk};
use encaje_sdk::errors::Problem;
use encaje_sdk::instrumentor::{Annotation, Decision, Exchange, Filter, Instrumentor};

use answer::Answer;
use config::{Action, Guard};
use tally::Tally;

thread_local! {
    /// Compiled once an instance; the configuration does not change within one.
    static GUARD: OnceCell<Rc<Guard>> = const { OnceCell::new() };
    /// What the hooks of this request found; they share the instance.
    static FOUND: RefCell<Tally> = RefCell::default();
}

fn guard() -> Result<Rc<Guard>, Problem> {
    GUARD.with(|cell| {
        if let Some(guard) = cell.get() {
            return Ok(guard.clone());
        }
        let guard = Rc::new(Guard::new(&encaje_sdk::host::config::get())?);
        Ok(cell.get_or_init(|| guard).clone())
    })
}

fn note(tally: &mut Tally) {
    FOUND.with_borrow_mut(|found| found.add(std::mem::take(tally)));
}

struct Guarding;

impl Instrumentor for Guarding {
    fn check() -> Result<Vec<String>, Problem> {
        Ok(guard()?.hooks())
    }

    fn before(request: ChatRequest) -> Result<Decision, Problem> {
        let (decision, mut tally) = request::judge(&*guard()?, request)?;
        // The first hook of a request: an instance that served another one starts anew.
        FOUND.take();
        note(&mut tally);
        Ok(decision)
    }

    fn open_filter(_request: ChatRequest) -> Result<Box<dyn Filter>, Problem> {
        Ok(Box::new(Guarded(Answer::new(guard()?))))
    }

    fn after(exchange: Exchange) -> Result<Annotation, Problem> {
        let guard = guard()?;
        let mut found = FOUND.take();
        if guard.output && guard.action == Action::Flag {
            found.add(flagged(&guard, exchange.chunks)?);
        }
        Ok(found.annotation(&guard))
    }
}

/// What a finished answer holds.
fn flagged(guard: &Rc<Guard>, chunks: Vec<Chunk>) -> Result<Tally, Problem> {
    let mut answer = Answer::new(guard.clone());
    answer.push(chunks)?;
    answer.finish();
    Ok(answer.tally)
}

/// An answer under way.
struct Guarded(Answer);

impl Filter for Guarded {
    fn push(&mut self, chunks: Vec<Chunk>) -> Result<Vec<Chunk>, Problem> {
        let said = self.0.push(chunks);
        note(&mut self.0.tally);
        said
    }

    fn finish(&mut self) -> Result<Vec<Chunk>, Problem> {
        let said = self.0.finish();
        note(&mut self.0.tally);
        Ok(said)
    }
}

encaje_sdk::export_instrumentor!(Guarding);

#[cfg(test)]
mod tests {
    use super::{FOUND, Tally, flagged, note};
    use crate::config::tests::guard;
    use encaje_sdk::chat::{ChatEvent, Chunk};
    use encaje_sdk::values::Value;
    use serde_json::json;
    use std::rc::Rc;

    fn texts(pieces: &[&str]) -> Vec<Chunk> {
        let chunk = |piece: &&str| Chunk {
            choice: 0,
            event: ChatEvent::Text((*piece).to_owned()),
        };
        pieces.iter().map(chunk).collect()
    }

    #[test]
    fn an_annotation_counts_and_names_rules_but_never_what_was_found() {
        let guard =
            Rc::new(guard(json!({"keywords": ["cat", "dog"], "patterns": ["[0-9]+"], "action": "flag"})).unwrap());
        let mut found = flagged(&guard, texts(&["a do", "g 1", "2 DOG"])).unwrap();
        assert_eq!(found.output, 3);
        found.input = 1;
        let annotation = found.annotation(&guard);
        let attribute = |name: &str| {
            annotation
                .attributes
                .iter()
                .find(|(own, _)| own == name)
                .map(|(_, value)| value)
        };
        assert!(matches!(attribute("guard.matches"), Some(Value::Integer(4))));
        assert!(matches!(attribute("guard.matches.input"), Some(Value::Integer(1))));
        assert!(matches!(attribute("guard.rules"), Some(Value::Text(rules)) if rules == "keywords[1],patterns[0]"));
        assert_eq!(annotation.tags, ["guard:flag"]);
        assert!(!format!("{annotation:?}").to_lowercase().contains("dog"));
    }

    #[test]
    fn nothing_found_is_told_too() {
        let guard = guard(json!({"keywords": ["cat"]})).unwrap();
        let annotation = Tally::default().annotation(&guard);
        assert_eq!(annotation.attributes.len(), 3);
        assert!(annotation.tags.is_empty());
    }

    #[test]
    fn the_hooks_of_a_request_add_up() {
        FOUND.take();
        let mut first = Tally {
            input: 1,
            output: 0,
            rules: [2].into(),
        };
        note(&mut first);
        assert_eq!(first, Tally::default());
        note(&mut Tally {
            input: 0,
            output: 2,
            rules: [2, 3].into(),
        });
        assert_eq!(
            FOUND.take(),
            Tally {
                input: 1,
                output: 2,
                rules: [2, 3].into()
            }
        );
    }
}
