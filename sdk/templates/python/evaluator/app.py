"""The evaluator {{name}}: what share of the first reference's words the output has."""

from encaje_sdk import Problem, evaluator
from encaje_sdk.parameters import parameters


class WordRecall(evaluator.Run):
    """One evaluation."""

    name = "word_recall"
    spread = True

    def judge(self, sample):
        if not sample.references:
            raise Problem.invalid_request("`word_recall` needs a reference", param="references")
        wanted = set(sample.references[0].lower().split())
        found = wanted & set(sample.output.lower().split())
        return evaluator.Score(self.name, len(found) / len(wanted) if wanted else 1.0)


class Plugin(evaluator.Evaluator):
    """The plugin."""

    def metrics(self):
        about = "Share of the different words of the first reference that the output has"
        return [evaluator.Metric("word_recall", about, 0.0, 1.0, needs=("references",))]

    def start(self, metric, params):
        if metric != "word_recall":
            raise Problem.not_found(f"there is no metric `{metric}`; there is `word_recall`", param="metric")
        parameters(params, ())
        return WordRecall()


Lifecycle, Evaluator = evaluator.export(Plugin())
