//! Evaluations, from their start to their end.

use encaje_core::chat::{Message, Role};
use encaje_core::documents::Passage;
use encaje_core::evaluation::{CorpusScore, MetricInfo, Need, Sample, SampleScore};
use encaje_core::problem::ProblemKind;
use encaje_core::telemetry::Score;
use proptest::prelude::*;

use super::Subject;
use crate::generate::{self, MARK, ODD_TEXTS};
use crate::limits::HUGE_TEXT;
use crate::run::{Verdict, about, ensure, property, refused, same, shown, unmarked, well_told};

/// A sample that has everything that a metric may need.
fn sample(id: &str, output: &str, reference: &str) -> Sample {
    Sample {
        id: id.to_owned(),
        output: output.to_owned(),
        references: vec![reference.to_owned()],
        question: Some("What is a fjord?".to_owned()),
        context: vec![Passage {
            document: "d".to_owned(),
            index: 0,
            start: 0,
            end: reference.len() as u64,
            text: reference.to_owned(),
            heading: Vec::new(),
            metadata: Vec::new(),
        }],
        messages: vec![
            Message::text(Role::User, "What is a fjord?"),
            Message::text(Role::Assistant, output),
        ],
        ranking: vec!["a".to_owned(), "b".to_owned()],
        relevant: vec![("b".to_owned(), 1), ("c".to_owned(), 2)],
        extra: Vec::new(),
    }
}

fn samples() -> Vec<Sample> {
    vec![
        sample(
            "1",
            "A fjord is an inlet of the sea.",
            "A fjord is an inlet of the sea.",
        ),
        sample("2", "A kind of bread.", "A long, narrow inlet of the sea."),
        sample("one more", "an inlet", "An inlet."),
        // The same id again: it is the caller's own, and not the evaluator's to judge.
        sample("1", "No idea at all, sorry about that.", "An inlet."),
    ]
}

fn paired(scores: &[SampleScore], samples: &[Sample]) -> Verdict {
    let came: Vec<&str> = scores.iter().map(|score| score.id.as_str()).collect();
    let expected: Vec<&str> = samples.iter().map(|sample| sample.id.as_str()).collect();
    same("the ids of the outcomes", &came, &expected)?;
    let mut problems = scores.iter().filter_map(|score| score.outcome.as_ref().err());
    problems.try_for_each(well_told)
}

fn bounded(metric: &MetricInfo, score: &Score) -> Verdict {
    let Some(value) = score.value else {
        return Ok(());
    };
    ensure(value.is_finite(), || {
        format!("a finite value was expected, {} came", shown(score))
    })?;
    let own = score.name == metric.name;
    let low = metric.lowest.is_none_or(|lowest| value >= lowest - 1e-9);
    let high = metric.highest.is_none_or(|highest| value <= highest + 1e-9);
    ensure(!own || (low && high), || {
        format!(
            "a value from {:?} to {:?} was expected, {} came",
            metric.lowest,
            metric.highest,
            shown(score)
        )
    })
}

fn sound(metric: &MetricInfo, scores: &[SampleScore], corpus: &CorpusScore) -> Verdict {
    for score in scores.iter().filter_map(|score| score.outcome.as_ref().ok()) {
        same("the name of a score", &score.name, &metric.name)?;
        ensure(score.value.is_some() || score.label.is_some(), || {
            format!("a value or a label was expected, {} came", shown(score))
        })?;
        bounded(metric, score)?;
    }
    corpus.scores.iter().try_for_each(|score| {
        ensure(!score.name.is_empty(), || {
            format!("a score with a name was expected, {} came", shown(score))
        })?;
        bounded(metric, score)
    })
}

fn close(left: &Score, right: &Score) -> bool {
    let values = match (left.value, right.value) {
        (Some(left), Some(right)) => (left - right).abs() <= 1e-9 * left.abs().max(1.0),
        (left, right) => left == right,
    };
    values && left.name == right.name && left.label == right.label
}

fn same_corpus(came: &CorpusScore, expected: &CorpusScore) -> Verdict {
    let close = came.scores.len() == expected.scores.len()
        && came
            .scores
            .iter()
            .zip(&expected.scores)
            .all(|(came, expected)| close(came, expected));
    ensure(close, || {
        format!(
            "the score {} was expected, {} came",
            shown(&expected.scores),
            shown(&came.scores)
        )
    })
}

fn same_scores(came: &[SampleScore], expected: &[SampleScore]) -> Verdict {
    let close = |(came, expected): (&SampleScore, &SampleScore)| match (&came.outcome, &expected.outcome) {
        (Ok(came), Ok(expected)) => close(came, expected),
        (Err(came), Err(expected)) => came.kind == expected.kind,
        _ => false,
    };
    let same = came.len() == expected.len() && came.iter().zip(expected).all(close);
    ensure(same, || {
        format!("the scores {} were expected, {} came", shown(expected), shown(came))
    })
}

pub(super) async fn outcomes(s: &Subject<'_>) -> Verdict {
    let samples = samples();
    s.each(
        |_| true,
        async |metric| {
            let (scores, _) = s.judge(&metric.name, &[&samples]).await?;
            paired(&scores, &samples)?;
            let (scores, _) = s.judge(&metric.name, &[&[], &samples, &[]]).await?;
            paired(&scores, &samples)
        },
    )
    .await
}

pub(super) async fn bounds(s: &Subject<'_>) -> Verdict {
    let texts = proptest::collection::vec((generate::text(), generate::text()), 0..6);
    property(s.settings, texts, async |texts| {
        let mut all = samples();
        all.extend(texts.iter().map(|(output, reference)| sample("p", output, reference)));
        s.each(
            |_| true,
            async |metric| {
                let (scores, corpus) = s.judge(&metric.name, &[&all]).await?;
                paired(&scores, &all)?;
                sound(metric, &scores, &corpus)
            },
        )
        .await
    })
    .await
}

pub(super) async fn repeated(s: &Subject<'_>) -> Verdict {
    let samples = samples();
    s.each(
        |metric| metric.deterministic,
        async |metric| {
            let first = s.judge(&metric.name, &[&samples]).await?;
            for _ in 0..3 {
                let again = s.judge(&metric.name, &[&samples]).await?;
                same_scores(&again.0, &first.0)?;
                same_corpus(&again.1, &first.1)?;
            }
            Ok(())
        },
    )
    .await
}

pub(super) async fn splits(s: &Subject<'_>) -> Verdict {
    let texts = proptest::collection::vec((generate::text(), generate::text()), 1..12);
    property(
        s.settings,
        (texts, any::<proptest::sample::Index>(), 1_usize..4),
        async |(texts, at, size)| {
            let all: Vec<Sample> = texts
                .iter()
                .enumerate()
                .map(|(at, (output, reference))| sample(&at.to_string(), output, reference))
                .collect();
            let (head, tail) = all.split_at(at.index(all.len()));
            let small: Vec<&[Sample]> = all.chunks(size).collect();
            s.each(
                |metric| metric.deterministic,
                async |metric| {
                    let whole = s.judge(&metric.name, &[&all]).await?;
                    for batches in [&[head, tail][..], &small] {
                        let parts = s.judge(&metric.name, batches).await?;
                        same_scores(&parts.0, &whole.0)?;
                        same_corpus(&parts.1, &whole.1)?;
                    }
                    Ok(())
                },
            )
            .await
        },
    )
    .await
}

fn without(need: Need) -> Sample {
    let mut lacking = sample("lacking", "an inlet", "An inlet.");
    match need {
        Need::References => lacking.references.clear(),
        Need::Question => lacking.question = None,
        Need::Context => lacking.context.clear(),
        Need::Messages => lacking.messages.clear(),
        Need::Ranking => {
            lacking.ranking.clear();
            lacking.relevant.clear();
        }
        Need::Judge | Need::Embeddings => {}
    }
    lacking
}

pub(super) async fn lacking(s: &Subject<'_>) -> Verdict {
    s.each(
        |metric| !metric.needs.is_empty(),
        async |metric| {
            for need in &metric.needs {
                let whole = sample("whole", "an inlet", "An inlet.");
                let all = [whole.clone(), without(*need), whole];
                let (mut scores, corpus) = s.judge(&metric.name, &[&all]).await?;
                paired(&scores, &all)?;
                sound(metric, &scores, &corpus)?;
                let lacking = scores.remove(1);
                let kinds = [ProblemKind::InvalidRequest, ProblemKind::Unsupported];
                refused(&format!("a sample without {need:?}"), lacking.outcome, &kinds)?;
                let failed = scores.iter().find(|score| score.outcome.is_err());
                ensure(failed.is_none(), || {
                    format!("scores of the others were expected, {} came", shown(&failed))
                })?;
            }
            Ok(())
        },
    )
    .await
}

pub(super) async fn odd_samples(s: &Subject<'_>) -> Verdict {
    let mut all: Vec<Sample> = ODD_TEXTS.iter().map(|odd| sample(odd, odd, odd)).collect();
    all.push(sample("", "", ""));
    all.push(sample("one side", "", "An inlet."));
    all.push(sample("the other side", "an inlet", ""));
    let mut many = sample("many", "an inlet", "An inlet.");
    many.references = (0..200).map(|at| format!("reference {at}")).collect();
    all.push(many);
    let huge = vec![
        sample("huge", &"word ".repeat(HUGE_TEXT / 5), "An inlet."),
        sample("after", "a", "a"),
    ];
    s.each(
        |_| true,
        async |metric| {
            for batch in [&all, &huge] {
                let (scores, corpus) = s.judge(&metric.name, &[batch]).await?;
                paired(&scores, batch)?;
                sound(metric, &scores, &corpus)?;
            }
            Ok(())
        },
    )
    .await
}

pub(super) async fn nothing(s: &Subject<'_>) -> Verdict {
    s.each(
        |_| true,
        async |metric| {
            let (scores, corpus) = s.judge(&metric.name, &[]).await?;
            sound(metric, &scores, &corpus)?;
            let (scores, corpus) = s.judge(&metric.name, &[&[]]).await?;
            paired(&scores, &[])?;
            sound(metric, &scores, &corpus)
        },
    )
    .await
}

pub(super) async fn apart(s: &Subject<'_>) -> Verdict {
    let all = samples();
    let (head, tail) = all.split_at(1);
    s.each(
        |metric| metric.deterministic,
        async |metric| {
            let expected = [
                s.judge(&metric.name, &[head]).await?.1,
                s.judge(&metric.name, &[tail]).await?.1,
            ];
            let call = s.settings.call();
            let mut first = s.port.start(&call, &metric.name, &s.settings.params).await?;
            let mut second = s.port.start(&call, &metric.name, &s.settings.params).await?;
            first.push(head.to_vec()).await?;
            second.push(tail.to_vec()).await?;
            let came = [first.finish().await?, second.finish().await?];
            came.iter()
                .zip(&expected)
                .try_for_each(|(came, expected)| same_corpus(came, expected))
        },
    )
    .await
}

pub(super) async fn dropped(s: &Subject<'_>) -> Verdict {
    let all = samples();
    let (head, tail) = all.split_at(1);
    s.each(
        |metric| metric.deterministic,
        async |metric| {
            let expected = s.judge(&metric.name, &[head]).await?;
            let mut given_up = s
                .port
                .start(&s.settings.call(), &metric.name, &s.settings.params)
                .await?;
            given_up.push(tail.to_vec()).await?;
            drop(given_up);
            let came = s.judge(&metric.name, &[head]).await?;
            same_corpus(&came.1, &expected.1)
        },
    )
    .await
}

/// What somebody else has judged, who has the same ids by chance.
fn theirs() -> Vec<Sample> {
    let other = |own: Sample| {
        let reference = format!("{MARK} {}", own.output);
        let mut other = sample(&own.id, &format!("{MARK} is no inlet"), &reference);
        other.question = Some(format!("What is {MARK}?"));
        other.ranking.push(MARK.to_owned());
        other.relevant.push((MARK.to_owned(), 1));
        other
    };
    samples().into_iter().map(other).collect()
}

/// A run that is given up takes its instance along, where there is such a thing: what comes next begins anew.
async fn give_up(s: &Subject<'_>, metric: &MetricInfo) -> Verdict {
    let call = s.settings.call();
    drop(s.port.start(&call, &metric.name, &s.settings.params).await?);
    Ok(())
}

/// The first that an instance hears of is somebody else's; what comes after that must be as if there had been nothing.
pub(super) async fn forgotten(s: &Subject<'_>) -> Verdict {
    let metrics = s.metrics().await?;
    let (theirs, other) = (theirs(), s.settings.other_call());
    // The ids are the caller's own and say nothing of the texts.
    let renamed = |(at, own): (usize, Sample)| Sample {
        id: format!("own {at}"),
        ..own
    };
    let (own, renamed) = (samples(), samples().into_iter().enumerate().map(renamed));
    let renamed: Vec<Sample> = renamed.collect();
    let mut after = Vec::new();
    if let Some(metric) = metrics.first() {
        give_up(s, metric).await?;
    }
    for metric in &metrics {
        s.judge_for(&other, &metric.name, &[&theirs]).await?;
    }
    for metric in &metrics {
        after.push(s.judge(&metric.name, &[&own]).await?);
    }
    for (metric, after) in metrics.iter().zip(&after) {
        give_up(s, metric).await?;
        let alone = s.judge(&metric.name, &[&renamed]).await?;
        let judged_alike = || {
            unmarked("scores", after)?;
            if metric.deterministic {
                same_scores(&after.0, &alone.0)?;
                same_corpus(&after.1, &alone.1)?;
            }
            Ok(())
        };
        judged_alike().map_err(|fault| about(&metric.name, fault))?;
    }
    Ok(())
}
