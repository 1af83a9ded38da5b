"""Run with `python3 -m unittest`."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "sdk" / "python"))

import app
from counts import sentences, syllables, words
from encaje_sdk import Problem
from encaje_sdk.evaluator import Sample

# Counted by a person.
SYLLABLES = {
    1: "cat the made walked likes strength don't eye through world's queue",
    2: "table happy wanted boxes people create lion being little science churches movement hated",
    3: "banana idea radio beautiful animal remember elephant important",
    4: "information dictionary education caterpillar",
    5: "university",
}


class Readability(unittest.TestCase):
    def test_syllables_are_right_for_nine_words_of_ten(self):
        cases = [(word, count) for count, line in SYLLABLES.items() for word in line.split()]
        wrong = [(word, syllables(word), count) for word, count in cases if syllables(word) != count]
        self.assertLessEqual(len(wrong), len(cases) // 10, wrong)

    def test_sentences_end_where_they_end(self):
        for count, text in [
            (2, "It works. Does it?"),
            (1, "Dr. Smith waited, e.g. for 3.5 hours"),
            (2, "He said: “Go!” Then he went…"),
            (2, "A heading\n\nAnd a line without a mark"),
            (1, "Look:\n```\nfoo. bar. baz.\n```\n"),
            (0, "... 42!"),
        ]:
            self.assertEqual(sentences(text), count, text)
        self.assertEqual(words("It's 3 o’clock, naïve."), ["It's", "o’clock", "naïve"])

    def test_figures_are_those_of_the_formulas(self):
        # Two sentences, seven words, eight syllables.
        sample = Sample("a", "The cat sat. It was very old.")
        score = {name: app.Plugin().start(name, "").push([sample])[0].value for name in app.METRICS}
        self.assertAlmostEqual(score["flesch_reading_ease"], 206.835 - 1.015 * 3.5 - 84.6 * 8 / 7)
        self.assertAlmostEqual(score["flesch_kincaid_grade"], 0.39 * 3.5 + 11.8 * 8 / 7 - 15.59)
        self.assertEqual((score["words_per_sentence"], score["syllables_per_word"]), (3.5, 8 / 7))

    def test_easy_text_scores_above_hard_text(self):
        easy = "The dog ran to the park. It saw a cat. They played all day."
        hard = (
            "Notwithstanding considerable methodological heterogeneity, contemporary investigations demonstrate "
            "statistically significant associations between socioeconomic circumstances and educational opportunities."
        )
        one, two = app.Plugin().start("flesch_reading_ease", "{}").push([Sample("a", easy), Sample("b", hard)])
        self.assertGreater(one.value, 90)
        self.assertLess(two.value, 0)

    def test_what_cannot_be_judged_is_told(self):
        run = app.Plugin().start("flesch_reading_ease", "{}")
        empty, long = run.push([Sample("a", "¿42?"), Sample("b", "a" * (app.MAX_CHARACTERS + 1))])
        self.assertEqual((empty.code, long.kind), ("no_words", "too-large"))
        for metric, params, kind in [
            ("smog", "{}", "not-found"),
            ("flesch_reading_ease", '{"x":1}', "invalid-request"),
        ]:
            with self.assertRaises(Problem) as caught:
                app.Plugin().start(metric, params)
            self.assertEqual(caught.exception.kind, kind)


if __name__ == "__main__":
    unittest.main()
