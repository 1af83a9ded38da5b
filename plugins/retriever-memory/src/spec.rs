//! How a collection's documents are cut, as its maker said. What a later `open` leaves out goes with any collection.

use encaje_sdk::chunker::Chunker;
use encaje_sdk::errors::Problem;
use serde::{Deserialize, Serialize};

use crate::limits::{DEFAULT_OVERLAP_BYTES, DEFAULT_PASSAGE_BYTES, PASSAGE_BYTES};

/// As it was given.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    passage_bytes: Option<usize>,
    overlap_bytes: Option<usize>,
}

/// As it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spec {
    passage_bytes: usize,
    overlap_bytes: usize,
}

impl Wanted {
    /// Reads a JSON text; an empty one says nothing.
    ///
    /// # Errors
    /// `invalid-request`.
    pub(crate) fn parse(json: &str) -> Result<Self, Problem> {
        if json.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_str(json)
            .map_err(|error| Problem::invalid_request(format!("spec: {error}")).with_param("spec"))
    }

    /// What a new collection gets.
    ///
    /// # Errors
    /// `invalid-request` for sizes that do not go together.
    pub(crate) fn spec(self) -> Result<Spec, Problem> {
        let passage_bytes = self.passage_bytes.unwrap_or(DEFAULT_PASSAGE_BYTES);
        if !PASSAGE_BYTES.contains(&passage_bytes) {
            let message = format!(
                "spec.passage_bytes must lie between {} and {}",
                PASSAGE_BYTES.start(),
                PASSAGE_BYTES.end()
            );
            return Err(Problem::invalid_request(message).with_param("spec.passage_bytes"));
        }
        let spec = Spec {
            passage_bytes,
            overlap_bytes: self
                .overlap_bytes
                .unwrap_or(DEFAULT_OVERLAP_BYTES.min(passage_bytes / 2)),
        };
        spec.chunker().map(|_| spec)
    }

    /// Whether it goes with a collection that exists.
    pub(crate) fn check(self, spec: Spec) -> Result<(), Problem> {
        let differs = |wanted: Option<usize>, own| wanted.is_some_and(|wanted| wanted != own);
        for (name, differs, own) in [
            (
                "passage_bytes",
                differs(self.passage_bytes, spec.passage_bytes),
                spec.passage_bytes,
            ),
            (
                "overlap_bytes",
                differs(self.overlap_bytes, spec.overlap_bytes),
                spec.overlap_bytes,
            ),
        ] {
            if differs {
                let message =
                    format!("the collection was made with `{name}` {own}; leave it out, or make another collection");
                return Err(Problem::conflict(message).with_param(format!("spec.{name}")));
            }
        }
        Ok(())
    }
}

impl Spec {
    /// What cuts the documents.
    pub(crate) fn chunker(self) -> Result<Chunker, Problem> {
        Chunker::new(self.passage_bytes, self.overlap_bytes)
            .map_err(|error| Problem::invalid_request(format!("spec: {error}")).with_param("spec.overlap_bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::Wanted;
    use encaje_sdk::errors::ProblemKind;

    #[test]
    fn what_is_left_out_has_a_default_and_goes_with_anything() {
        let spec = Wanted::parse("").unwrap().spec().unwrap();
        assert_eq!((spec.passage_bytes, spec.overlap_bytes), (1_200, 150));
        let small = Wanted::parse(r#"{"passage_bytes":100}"#).unwrap().spec().unwrap();
        assert_eq!((small.passage_bytes, small.overlap_bytes), (100, 50));
        assert!(Wanted::parse("{}").unwrap().check(small).is_ok());
        assert!(Wanted::parse(r#"{"overlap_bytes":50}"#).unwrap().check(small).is_ok());
        let other = Wanted::parse(r#"{"passage_bytes":101}"#)
            .unwrap()
            .check(small)
            .unwrap_err();
        assert!(matches!(other.kind, ProblemKind::Conflict));
    }

    #[test]
    fn nonsense_is_refused() {
        for json in [
            "[]x",
            r#"{"model":"m"}"#,
            r#"{"passage_bytes":63}"#,
            r#"{"passage_bytes":70000}"#,
            r#"{"passage_bytes":100,"overlap_bytes":51}"#,
            r#"{"overlap_bytes":-1}"#,
        ] {
            let problem = Wanted::parse(json).and_then(Wanted::spec).unwrap_err();
            assert!(matches!(problem.kind, ProblemKind::InvalidRequest), "{json}");
        }
    }
}
