"""Run with `python3 -m unittest`: the same figures as evaluator-exact's own tests."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "sdk" / "python"))

import app
from encaje_sdk import Problem
from encaje_sdk.evaluator import Sample
from normalise import STEPS, normalise


def value(metric, params, output, *references):
    (score,) = app.Exact().start(metric, params).push([Sample("a", output, list(references))])
    return score.value


class Exact(unittest.TestCase):
    def test_all_steps_are_squads(self):
        for text, normal in [
            ("The  Eiffel-Tower, a tower!", "eiffeltower tower"),
            ("An\tapple\n", "apple"),
            ("«The» anthem", "« » anthem"),
            ("ÉCOLE the_end", "école theend"),
            ("a an the", ""),
            ("theatre of a.n", "theatre of"),
        ]:
            self.assertEqual(normalise(text, STEPS), normal, text)

    def test_each_step_can_stand_alone(self):
        text = " The  cat, A. "
        self.assertEqual(normalise(text, []), text)
        self.assertEqual(normalise(text, ["case"]), " the  cat, a. ")
        self.assertEqual(normalise(text, ["punctuation"]), " The  cat A ")
        self.assertEqual(normalise(text, ["articles"]), "    cat,  . ")
        self.assertEqual(normalise(text, ["whitespace"]), "The cat, A.")

    def test_values(self):
        for expected, *arguments in [
            (1.0, "exact_match", "", "The cat.", "dog", "cat"),
            (0.0, "exact_match", "{}", "The cat", "cats"),
            (0.0, "exact_match", '{"normalise":[]}', "Cat", "cat"),
            (2 * 2 / 7, "token_f1", "", "the red big cat", "big cat on mat"),
            (2 * 2 / 6, "token_f1", "", "x x y", "x y y"),
            (1.0, "token_f1", "", "the", "a"),
            (0.0, "token_f1", "", "", "word"),
            (4.0, "length", "", "né e"),
            (5.0, "length", '{"unit":"bytes"}', "né e"),
            (2.0, "length", '{"unit":"words"}', "né e"),
            (0.0, "length", '{"unit":"words","min":2,"max":3}', "a"),
            (1.0, "length", '{"unit":"words","min":2,"max":3}', "a b c"),
        ]:
            self.assertEqual(value(*arguments), expected, arguments)

    def test_one_sample_that_cannot_be_judged_does_not_stop_the_others(self):
        huge = "x" * ((1 << 20) + 1)
        run = app.Exact().start("token_f1", "{}")
        good, bare, long, deep, many = run.push(
            [
                Sample("a", "x", ["x"]),
                Sample("b", "x", []),
                Sample("c", huge, ["x"]),
                Sample("d", "x", ["y", huge]),
                Sample("e", "x", ["x"] * 257),
            ]
        )
        self.assertEqual((good.value, good.explanation), (1.0, "by references[0]"))
        self.assertEqual((bare.kind, bare.code), ("invalid-request", "references_missing"))
        self.assertEqual([p.param for p in (long, deep, many)], ["output", "references[1]", "references"])
        run.push([Sample("f", "x", ["y"])])
        scores, extra = run.finish()
        self.assertEqual([(s.name, s.value) for s in scores], [("token_f1", 0.5), ("token_f1_stddev", 0.5)])
        self.assertEqual(extra, [("judged", "2"), ("failed", "4")])

    def test_wrong_names_and_parameters_are_told(self):
        with self.assertRaises(Problem) as caught:
            app.Exact().start("bleu", "{}")
        self.assertEqual(caught.exception.kind, "not-found")
        for metric, params in [
            ("exact_match", '{"normalise":["accents"]}'),
            ("token_f1", '{"case":true}'),
            ("length", '{"min":3,"max":2}'),
            ("length", '{"unit":"tokens"}'),
            ("length", '{"min":-1}'),
            ("length", "[]x"),
            ("length", '{"min":true}'),
        ]:
            with self.assertRaises(Problem, msg=params) as caught:
                app.Exact().start(metric, params)
            self.assertEqual(caught.exception.kind, "invalid-request")
            self.assertTrue(caught.exception.param.startswith("params"))


if __name__ == "__main__":
    unittest.main()
