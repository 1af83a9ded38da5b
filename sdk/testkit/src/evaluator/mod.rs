//! The evaluator suite: what is listed, what comes back for each sample, what is said of all of them. Whether a score is a
//! good judgement is not judged. Metrics that need a model of the host's are listed and not run: the kit has none.

mod runs;

use encaje_core::call::Call;
use encaje_core::evaluation::{CorpusScore, MetricInfo, Need, Sample, SampleScore};
use encaje_core::ports::Evaluator;
use encaje_core::problem::{Problem, ProblemKind};
use encaje_core::trace::PluginKind;
use serde_json::Value as Json;

use crate::report::Report;
use crate::run::{Suite, Verdict, about, ensure, fail, refused, same, shown, skip};
use crate::settings::Settings;

/// An evaluator, and how it is asked.
pub(super) struct Subject<'a> {
    port: &'a dyn Evaluator,
    settings: &'a Settings,
}

/// What an evaluation came to.
type Judged = (Vec<SampleScore>, CorpusScore);

impl Subject<'_> {
    async fn metrics(&self) -> Verdict<Vec<MetricInfo>> {
        let metrics = self.port.metrics(&self.settings.call()).await?;
        let alone = |metric: &MetricInfo| {
            let hosted = [Need::Judge, Need::Embeddings];
            !metric.needs.iter().any(|need| hosted.contains(need))
        };
        let metrics: Vec<MetricInfo> = metrics.into_iter().filter(alone).collect();
        if metrics.is_empty() {
            return skip("no metric does without a model of the host's");
        }
        Ok(metrics)
    }

    /// Runs one check for each metric that it may be asked for.
    async fn each(&self, is: impl Fn(&MetricInfo) -> bool, check: impl AsyncFn(&MetricInfo) -> Verdict) -> Verdict {
        let metrics: Vec<MetricInfo> = self.metrics().await?.into_iter().filter(is).collect();
        if metrics.is_empty() {
            return skip("no metric is of that sort");
        }
        for metric in &metrics {
            check(metric).await.map_err(|fault| about(&metric.name, fault))?;
        }
        Ok(())
    }

    /// An evaluation of batches of samples, from its start to its end.
    async fn judge(&self, metric: &str, batches: &[&[Sample]]) -> Result<Judged, Problem> {
        self.judge_for(&self.settings.call(), metric, batches).await
    }

    /// The same for any caller.
    async fn judge_for(&self, call: &Call, metric: &str, batches: &[&[Sample]]) -> Result<Judged, Problem> {
        let mut run = self.port.start(call, metric, &self.settings.params).await?;
        let mut scores = Vec::new();
        for batch in batches {
            scores.extend(run.push(batch.to_vec()).await?);
        }
        Ok((scores, run.finish().await?))
    }
}

/// Judges an evaluator.
pub async fn evaluator(subject: &dyn Evaluator, settings: &Settings) -> Report {
    let mut suite = Suite::new(subject.name(), PluginKind::Evaluator, settings);
    let subject = Subject {
        port: subject,
        settings,
    };
    let s = &subject;
    let name = "listed metrics have names of their own, bounds in order and a JSON Schema";
    suite.check(name, Box::pin(listed(s))).await;
    let name = "a metric that it does not have is not-found";
    suite.check(name, Box::pin(unknown(s))).await;
    let name = "parameters that do not fit are an invalid request";
    suite.check(name, Box::pin(misfits(s))).await;
    // The first run of all is somebody else's: who keeps what came first has that.
    let name = "an evaluation knows nothing of the ones before it";
    suite.check(name, Box::pin(runs::forgotten(s))).await;
    let name = "each sample has one outcome, in order, with its id";
    suite.check(name, Box::pin(runs::outcomes(s))).await;
    let name = "scores are finite, within their bounds, and named after their metric";
    suite.check(name, Box::pin(runs::bounds(s))).await;
    let name = "a deterministic metric gives the same scores again";
    suite.check(name, Box::pin(runs::repeated(s))).await;
    let name = "the score of all samples does not depend on how they are pushed";
    suite.check(name, Box::pin(runs::splits(s))).await;
    let name = "a sample that lacks what is needed has a problem of its own, and the others go on";
    suite.check(name, Box::pin(runs::lacking(s))).await;
    let name = "empty, odd and huge texts are scored, or refused sample by sample";
    suite.check(name, Box::pin(runs::odd_samples(s))).await;
    let name = "an evaluation of nothing ends";
    suite.check(name, Box::pin(runs::nothing(s))).await;
    let name = "two evaluations at once do not mix";
    suite.check(name, Box::pin(runs::apart(s))).await;
    let name = "after a dropped evaluation the next one starts from nothing";
    suite.check(name, Box::pin(runs::dropped(s))).await;
    suite.finish()
}

async fn listed(s: &Subject<'_>) -> Verdict {
    let metrics = s.port.metrics(&s.settings.call()).await?;
    ensure(!metrics.is_empty(), || {
        "at least one metric was expected, none came".to_owned()
    })?;
    for (at, metric) in metrics.iter().enumerate() {
        let plain = !metric.name.trim().is_empty() && !metric.name.chars().any(char::is_control);
        ensure(plain, || {
            format!("a name of one line was expected, {} came", shown(metric))
        })?;
        let first = metrics.iter().position(|other| other.name == metric.name);
        same(
            &format!("the place of `{}` in the list", metric.name),
            &Some(at),
            &first,
        )?;
        let bounds: Vec<f64> = metric.lowest.iter().chain(&metric.highest).copied().collect();
        let ordered = bounds.iter().all(|bound| bound.is_finite()) && bounds.is_sorted();
        ensure(ordered, || {
            format!("finite bounds in order were expected, {} came", shown(metric))
        })?;
        schema(&metric.params).map_err(|fault| about(&metric.name, fault))?;
    }
    Ok(())
}

/// What can be told of a schema without a library for schemas: it is an object of the words that schemas have.
fn schema(text: &str) -> Verdict {
    let Ok(Json::Object(schema)) = serde_json::from_str::<Json>(text) else {
        return fail(format!(
            "a JSON Schema of the parameters was expected, {} came",
            shown(text)
        ));
    };
    let is_object = schema.get("type").is_none_or(|of| of == "object");
    let properties = schema.get("properties");
    let sound = properties.is_none_or(|all| all.as_object().is_some_and(|all| all.values().all(is_schema)));
    ensure(is_object && sound, || {
        format!("a JSON Schema of an object was expected, {} came", shown(text))
    })
}

fn is_schema(json: &Json) -> bool {
    json.is_object() || json.is_boolean()
}

async fn unknown(s: &Subject<'_>) -> Verdict {
    for name in ["encaje-testkit/no-such-metric", ""] {
        let outcome = s
            .port
            .start(&s.settings.call(), name, "{}")
            .await
            .map(|_| "an evaluation");
        refused(&format!("the metric `{name}`"), outcome, &[ProblemKind::NotFound])?;
    }
    Ok(())
}

async fn misfits(s: &Subject<'_>) -> Verdict {
    for metric in s.port.metrics(&s.settings.call()).await? {
        let mut wrong = vec!["{", "[]", "7"];
        let closed = serde_json::from_str::<Json>(&metric.params)
            .is_ok_and(|schema| schema.get("additionalProperties") == Some(&Json::Bool(false)));
        if closed {
            wrong.push(r#"{"x_encaje_testkit":1}"#);
        }
        for params in wrong {
            let outcome = s.port.start(&s.settings.call(), &metric.name, params).await;
            let what = format!("`{}` with the parameters {params}", metric.name);
            refused(&what, outcome.map(|_| "an evaluation"), &[ProblemKind::InvalidRequest])?;
        }
    }
    Ok(())
}
