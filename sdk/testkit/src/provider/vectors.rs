//! Embeddings and rankings: shapes, orders, numbers. What a vector means is not judged.

use encaje_core::embeddings::{EmbedInput, EmbedRequest, EmbedResponse, Purpose, Ranked, RerankRequest};
use encaje_core::problem::ProblemKind;

use super::Subject;
use super::stream::named;
use crate::generate::ODD_TEXTS;
use crate::run::{Verdict, ensure, refused, same, shown, skip, typed};

/// Two vectors of one text may differ by so much in each number: batches are summed in another order.
const CLOSE: f32 = 1e-2;

impl Subject<'_> {
    fn embedding(&self, texts: &[&str]) -> Verdict<EmbedRequest> {
        self.offers("embed")?;
        Ok(EmbedRequest {
            model: Self::model(self.embed.as_ref())?,
            inputs: texts.iter().map(|text| EmbedInput::Text((*text).to_owned())).collect(),
            purpose: Purpose::Unspecified,
            dimensions: None,
            extra: Vec::new(),
        })
    }

    async fn embed(&self, texts: &[&str]) -> Verdict<EmbedResponse> {
        let request = self.embedding(texts)?;
        Ok(self.port.embed(&self.settings.call(), request).await?)
    }

    /// A ranking; a model that ranks nothing is no fault of a provider that may have others.
    async fn ranked(&self, request: RerankRequest) -> Verdict<Vec<Ranked>> {
        match self.port.rerank(&self.settings.call(), request).await {
            Err(problem) if problem.kind == ProblemKind::Unsupported => {
                named(&problem, &["model"])?;
                skip(format!("it refused: {}", problem.message))
            }
            outcome => Ok(outcome?),
        }
    }

    fn ranking(&self, top: Option<u32>) -> Verdict<RerankRequest> {
        self.offers("rerank")?;
        let documents = ["A fjord is an inlet.", "Bread is baked.", "ñ 🌊", "The sea is deep."];
        Ok(RerankRequest {
            model: Self::model(self.rerank.as_ref())?,
            query: "What is a fjord?".to_owned(),
            documents: documents.map(str::to_owned).to_vec(),
            top,
            extra: Vec::new(),
        })
    }
}

fn well_formed(response: &EmbedResponse, inputs: usize) -> Verdict {
    ensure(response.dimensions > 0, || {
        "at least one dimension was expected, none came".to_owned()
    })?;
    let numbers = inputs * response.dimensions as usize;
    same("how many numbers there are", &response.vectors.len(), &numbers)?;
    same(
        "how many inputs are said to be covered",
        &response.covered.len(),
        &inputs,
    )?;
    let wrong = response.vectors.iter().find(|number| !number.is_finite());
    ensure(wrong.is_none(), || {
        format!("finite numbers were expected, {wrong:?} came")
    })
}

fn rows(response: &EmbedResponse) -> Vec<&[f32]> {
    response.vectors.chunks(response.dimensions.max(1) as usize).collect()
}

fn close(left: Option<&&[f32]>, right: Option<&&[f32]>) -> bool {
    let (Some(left), Some(right)) = (left, right) else {
        return false;
    };
    left.len() == right.len()
        && left
            .iter()
            .zip(*right)
            .all(|(left, right)| (left - right).abs() <= CLOSE)
}

pub(super) async fn shape(s: &Subject<'_>) -> Verdict {
    for count in [1, 2, ODD_TEXTS.len()] {
        let texts: Vec<&str> = ODD_TEXTS.into_iter().take(count).collect();
        well_formed(&s.embed(&texts).await?, count)?;
    }
    Ok(())
}

pub(super) async fn order(s: &Subject<'_>) -> Verdict {
    let texts = ["A fjord is an inlet.", "Bread is baked in an oven."];
    let forwards = s.embed(&texts).await?;
    let backwards = s.embed(&[texts[1], texts[0]]).await?;
    let (forwards, backwards) = (rows(&forwards), rows(&backwards));
    ensure(!close(forwards.first(), forwards.get(1)), || {
        "two texts with two vectors were expected, they have the same".to_owned()
    })?;
    let swapped = close(forwards.first(), backwards.get(1)) && close(forwards.get(1), backwards.first());
    ensure(swapped, || {
        "swapped inputs were expected to have swapped vectors, they do not".to_owned()
    })
}

pub(super) async fn repeated(s: &Subject<'_>) -> Verdict {
    let first = s.embed(&["the same text"]).await?;
    // What a warm guest keeps of one request must not be in the next one's answer.
    s.embed(&["Another text.", "And one more."]).await?;
    let second = s.embed(&["the same text"]).await?;
    ensure(close(rows(&first).first(), rows(&second).first()), || {
        "the same vector was expected twice, two different ones came".to_owned()
    })
}

pub(super) async fn empty(s: &Subject<'_>) -> Verdict {
    let request = s.embedding(&[])?;
    let outcome = s.port.embed(&s.settings.call(), request).await;
    refused("no input", outcome, &[ProblemKind::InvalidRequest])?;
    let request = s.embedding(&[""])?;
    match s.port.embed(&s.settings.call(), request).await {
        Ok(response) => well_formed(&response, 1),
        Err(problem) => typed(&problem, &[ProblemKind::InvalidRequest, ProblemKind::Unsupported]),
    }
}

pub(super) async fn dimensions(s: &Subject<'_>) -> Verdict {
    let mut request = s.embedding(&["a text"])?;
    request.dimensions = Some(8);
    match s.port.embed(&s.settings.call(), request).await {
        Ok(response) => {
            well_formed(&response, 1)?;
            same("the dimensions", &response.dimensions, &8)
        }
        Err(problem) => {
            named(&problem, &["dimensions"])?;
            skip(format!("it refused: {}", problem.message))
        }
    }
}

pub(super) async fn ranking(s: &Subject<'_>) -> Verdict {
    let request = s.ranking(None)?;
    let count = request.documents.len();
    let ranked = s.ranked(request).await?;
    let mut places: Vec<usize> = ranked.iter().map(|one| one.index as usize).collect();
    places.sort_unstable();
    same("the documents that are ranked", &places, &(0..count).collect())?;
    let sorted = ranked.is_sorted_by(|left, right| left.score >= right.score);
    ensure(sorted, || {
        format!("the best first was expected, {} came", shown(&ranked))
    })
}

pub(super) async fn top(s: &Subject<'_>) -> Verdict {
    let ranked = s.ranked(s.ranking(Some(2))?).await?;
    same("how many are ranked", &ranked.len(), &2)
}
