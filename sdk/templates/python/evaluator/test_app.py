"""Run with `python3 -m unittest`."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / ".encaje" / "sdk"))

import app
from encaje_sdk import Problem
from encaje_sdk.evaluator import Sample


class WordRecall(unittest.TestCase):
    def test_the_share_of_words_is_the_score_and_one_bad_sample_does_not_stop_the_others(self):
        run = app.Plugin().start("word_recall", "{}")
        good, bad = run.push([Sample("a", "A red cat", ["the red CAT sat"]), Sample("b", "x")])
        self.assertEqual(good.value, 0.5)
        self.assertEqual(bad.kind, "invalid-request")
        scores, extra = run.finish()
        self.assertEqual((scores[0].value, dict(extra)["failed"]), (0.5, "1"))

    def test_what_is_listed_can_be_started_and_nothing_else(self):
        for metric in app.Plugin().metrics():
            self.assertEqual(app.Plugin().start(metric.name, "{}").name, metric.name)
        with self.assertRaises(Problem) as caught:
            app.Plugin().start("bleu", "{}")
        self.assertEqual(caught.exception.kind, "not-found")


if __name__ == "__main__":
    unittest.main()
