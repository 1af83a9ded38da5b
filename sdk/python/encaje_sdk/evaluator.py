"""Evaluators: subclass `Evaluator` and `Run`, then `Lifecycle, Evaluator = export(MyEvaluator())` in the entry module."""

import math
from dataclasses import dataclass, field

from .guard import guarded, lifecycle, record
from .problem import Problem
from .tally import Tally


@dataclass
class Score:
    """A number, a word or both."""

    name: str
    value: float | None = None
    label: str | None = None
    explanation: str | None = None
    extra: list = field(default_factory=list)


@dataclass
class Metric:
    """A metric as it is listed. `needs` are the WIT's words, such as `references`; `params` is a JSON Schema as text."""

    name: str
    description: str
    lowest: float | None = None
    highest: float | None = None
    higher_is_better: bool = True
    needs: tuple = ()
    deterministic: bool = True
    params: str = '{"type":"object","additionalProperties":false}'


@dataclass
class Sample:
    """One thing to judge; what the host sends has the same fields. For tests."""

    id: str = ""
    output: str = ""
    references: list = field(default_factory=list)
    question: str | None = None
    context: list = field(default_factory=list)
    messages: list = field(default_factory=list)
    ranking: list = field(default_factory=list)
    relevant: list = field(default_factory=list)
    extra: list = field(default_factory=list)


class Run:
    """One evaluation. Most runs write `judge` alone."""

    # The metric's name, which its corpus score has too.
    name = ""
    # Whether the corpus score tells the spread beside the mean.
    spread = False

    def judge(self, sample):
        """The `Score` of one sample. A `Problem` raised here concerns this sample alone."""
        raise Problem.internal("this run judges nothing")

    def push(self, samples):
        """One `Score` or exception for each sample, in order."""
        outcomes = [self._outcome(sample) for sample in samples]
        tally = self._tally()
        for outcome in outcomes:
            tally.add(outcome.value if isinstance(outcome, Score) else None)
        return outcomes

    def finish(self):
        """The scores of everything that was pushed, and what else is known."""
        tally = self._tally()
        if tally.judged == 0:
            scores = [Score(self.name, explanation="no sample could be judged")]
        else:
            scores = [Score(self.name, tally.mean, explanation=f"mean of {tally.judged} samples")]
            if self.spread:
                why = f"standard deviation of {tally.judged} samples"
                scores.append(Score(self.name + "_stddev", tally.deviation(), explanation=why))
        return scores, [("judged", str(tally.judged)), ("failed", str(tally.failed))]

    def _tally(self):
        # Made on first use, so that a subclass need not call this class's __init__.
        if not hasattr(self, "_figures"):
            self._figures = Tally()
        return self._figures

    def _outcome(self, sample):
        try:
            score = self.judge(sample)
            if score.value is not None and not math.isfinite(score.value):
                raise Problem.internal(f"`{self.name}` gave a score that is no finite number")
            return score
        except Exception as error:
            return error


class Evaluator:
    """What an evaluator plugin does."""

    def check(self):
        """Run before any traffic; raise a `Problem` for what keeps the plugin from working."""
        return ["evaluate"]

    def metrics(self):
        """The list of `Metric`s."""
        raise Problem.internal("this evaluator has no metrics")

    def start(self, metric, params):
        """A `Run`; `not-found` for another metric, `invalid-request` for `params` that do not fit."""
        raise Problem.not_found(f"there is no metric `{metric}`", param="metric")


def export(plugin):
    """The classes `Lifecycle` and `Evaluator` that the entry module must have."""

    class Exported:
        @guarded
        def metrics(self):
            from wit_world.exports import evaluator

            return [_info(evaluator, metric) for metric in plugin.metrics()]

        @guarded
        def start(self, metric, params):
            return _Run(plugin.start(metric, params))

    return lifecycle(plugin), Exported


class _Run:
    """The resource that the host pushes samples into."""

    def __init__(self, run):
        self._run = run

    @guarded
    def push(self, samples):
        from componentize_py_types import Err, Ok
        from wit_world.exports import evaluator

        def outcome(found):
            return Ok(_score(found)) if isinstance(found, Score) else Err(record(found))

        found = self._run.push(samples)
        return [evaluator.SampleScore(sample.id, outcome(one)) for sample, one in zip(samples, found, strict=True)]

    @guarded
    def finish(self):
        from wit_world.exports import evaluator

        scores, extra = self._run.finish()
        return evaluator.CorpusScore([_score(score) for score in scores], None, extra)


def _info(bindings, metric):
    needs = [bindings.Need[need.upper()] for need in metric.needs]
    return bindings.MetricInfo(
        metric.name,
        metric.description,
        metric.lowest,
        metric.highest,
        metric.higher_is_better,
        needs,
        metric.deterministic,
        metric.params,
    )


def _score(score):
    from wit_world.imports import telemetry

    value = None if score.value is None else float(score.value)
    return telemetry.Score(score.name, value, score.label, score.explanation, score.extra)
