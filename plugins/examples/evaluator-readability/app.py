"""An evaluator that says how easily an English answer reads. It needs nothing but the answer."""

from counts import sentences, syllables, words
from encaje_sdk import Problem, evaluator
from encaje_sdk.parameters import parameters

# Characters of an answer: forty times a long one; counting it takes a fraction of a second.
MAX_CHARACTERS = 1 << 20


def reading_ease(sentence_count, word_count, syllable_count):
    """Flesch 1948: larger is easier; 60 to 70 is plain English."""
    return 206.835 - 1.015 * word_count / sentence_count - 84.6 * syllable_count / word_count


def grade_level(sentence_count, word_count, syllable_count):
    """Kincaid et al. 1975: years of school in the United States."""
    return 0.39 * word_count / sentence_count + 11.8 * syllable_count / word_count - 15.59


METRICS = {
    "flesch_reading_ease": (
        reading_ease,
        evaluator.Metric(
            "flesch_reading_ease",
            "How easily English text reads, 60 to 70 being plain English (Flesch 1948)",
            highest=121.22,
        ),
    ),
    "flesch_kincaid_grade": (
        grade_level,
        evaluator.Metric(
            "flesch_kincaid_grade",
            "Years of school that English text takes to read (Kincaid et al. 1975)",
            lowest=-3.4,
            higher_is_better=False,
        ),
    ),
    "words_per_sentence": (
        lambda sentence_count, word_count, _: word_count / sentence_count,
        evaluator.Metric("words_per_sentence", "Mean length of a sentence in words", 1.0, higher_is_better=False),
    ),
    "syllables_per_word": (
        lambda _, word_count, syllable_count: syllable_count / word_count,
        evaluator.Metric("syllables_per_word", "Mean length of a word in syllables", 1.0, higher_is_better=False),
    ),
}


class Readability(evaluator.Run):
    """One evaluation of one metric."""

    spread = True

    def __init__(self, name):
        self.name = name

    def judge(self, sample):
        if len(sample.output) > MAX_CHARACTERS:
            message = f"`output` has more than {MAX_CHARACTERS} characters; shorten it"
            raise Problem.too_large(message, param="output")
        found = words(sample.output)
        if not found:
            message = "`output` has no English word, so it cannot be read with ease or without"
            raise Problem.invalid_request(message, code="no_words", param="output")
        counted = sentences(sample.output), len(found), sum(map(syllables, found))
        why = "sentences {}, words {}, syllables {}".format(*counted)
        return evaluator.Score(self.name, METRICS[self.name][0](*counted), explanation=why)


class Plugin(evaluator.Evaluator):
    """The plugin."""

    def metrics(self):
        return [metric for _, metric in METRICS.values()]

    def start(self, metric, params):
        if metric not in METRICS:
            names = ", ".join(f"`{name}`" for name in METRICS)
            raise Problem.not_found(f"there is no metric `{metric}`; there are {names}", param="metric")
        parameters(params, [])
        return Readability(metric)


Lifecycle, Evaluator = evaluator.export(Plugin())
