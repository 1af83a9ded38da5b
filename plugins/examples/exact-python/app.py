"""The evaluator `exact`, in Python: lists its metrics and starts runs of them."""

from encaje_sdk import Problem, evaluator
from metrics import Compared, Length, exact, token_f1

NORMALISING = (
    '{"type":"object","additionalProperties":false,"properties":{"normalise":{"description":"What is evened out before '
    'texts are compared; absent is all of it","type":"array","uniqueItems":true,"items":{"enum":["case","punctuation",'
    '"articles","whitespace"]}}}}'
)
LENGTH = (
    '{"type":"object","additionalProperties":false,"properties":{"unit":{"enum":["characters","words","bytes"],"default":'
    '"characters"},"min":{"description":"The score is 1 from here on, else 0","type":"integer","minimum":0},"max":'
    '{"description":"The score is 1 up to here, else 0","type":"integer","minimum":0}}}'
)
METRICS = [
    evaluator.Metric(
        "exact_match",
        "1 where the output equals one of the references after normalisation, else 0 (SQuAD; Rajpurkar et al. 2016)",
        0.0,
        1.0,
        needs=("references",),
        params=NORMALISING,
    ),
    evaluator.Metric(
        "token_f1",
        "Harmonic mean of precision and recall over bags of normalised tokens, the best of the references (SQuAD; "
        "Rajpurkar et al. 2016)",
        0.0,
        1.0,
        needs=("references",),
        params=NORMALISING,
    ),
    evaluator.Metric(
        "length",
        "The output's length; with `min` or `max` 1 where it lies between them (both included), else 0",
        0.0,
        params=LENGTH,
    ),
]


class Exact(evaluator.Evaluator):
    """The plugin."""

    def metrics(self):
        return METRICS

    def start(self, metric, params):
        if metric == "exact_match":
            return Compared(metric, exact, params)
        if metric == "token_f1":
            return Compared(metric, token_f1, params)
        if metric == "length":
            return Length(params)
        message = f"there is no metric `{metric}`; there are `exact_match`, `token_f1` and `length`"
        raise Problem.not_found(message, param="metric")


Lifecycle, Evaluator = evaluator.export(Exact())
