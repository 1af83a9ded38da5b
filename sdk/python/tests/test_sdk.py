"""The SDK from a plugin's side and from the host's, with stand-ins for the generated bindings."""

import math
import sys
import types
import unittest
from dataclasses import make_dataclass
from enum import Enum
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[1]))

from encaje_sdk import Problem, case, evaluator, host, instrumentor, provider
from encaje_sdk.parameters import count, parameters, word
from encaje_sdk.problem import KINDS
from encaje_sdk.retry_after import retry_after_ms
from encaje_sdk.sse import events


class Err(Exception):
    def __init__(self, value):
        self.value = value


def cases(variant, *names):
    """Classes as the generator makes them, one a case."""
    return {f"{variant}_{name}": make_dataclass(f"{variant}_{name}", [("value", object, None)]) for name in names}


def pascal(kind):
    return "".join(part.capitalize() for part in kind.split("-"))


def bindings():
    """Modules with the names and the shapes of the generated ones."""
    record = lambda name, *fields: make_dataclass(name, fields)  # noqa: E731
    types_ = types.SimpleNamespace(Err=Err, Ok=record("Ok", "value"))
    problem = record(
        "Problem", "kind", "message", "log_detail", "code", "param", "retry_after_ms", "upstream_status", "extra"
    )
    errors = types.SimpleNamespace(Problem=problem, **cases("ProblemKind", *map(pascal, KINDS), "Other"))
    telemetry = types.SimpleNamespace(Score=record("Score", "name", "value", "label", "explanation", "extra"))
    usage = record("Usage", *vars(provider.Usage()))
    chat = types.SimpleNamespace(
        Chunk=record("Chunk", "choice", "event"),
        Usage=usage,
        **cases("ChatEvent", "Text", "Finish", "Usage", "Other"),
        **cases("FinishReason", "Stop", "Other"),
    )
    need = Enum("Need", {"REFERENCES": 0})
    info = record("MetricInfo", *vars(evaluator.Metric("", "")))
    judged = types.SimpleNamespace(
        Need=need,
        MetricInfo=info,
        SampleScore=record("SampleScore", "id", "outcome"),
        CorpusScore=record("CorpusScore", "scores", "usage", "extra"),
    )
    hooks = types.SimpleNamespace(**cases("Decision", "Pass", "Reject", "Other"))
    imports = types.SimpleNamespace(errors=errors, telemetry=telemetry, chat=chat)
    exports = types.SimpleNamespace(evaluator=judged, instrumentor=hooks)
    world = types.SimpleNamespace(imports=imports, exports=exports)
    return {
        "componentize_py_types": types_,
        "wit_world": world,
        "wit_world.imports": imports,
        "wit_world.exports": exports,
    }


class Sdk(unittest.TestCase):
    def setUp(self):
        patch = mock.patch.dict(sys.modules, bindings())
        patch.start()
        self.addCleanup(patch.stop)

    def raised(self, call, *arguments):
        with self.assertRaises(Err) as caught:
            call(*arguments)
        return caught.exception.value

    def failing(self, error):
        class Plugin(evaluator.Evaluator):
            def metrics(self):
                raise error

        return evaluator.export(Plugin())[1]().metrics

    def test_whatever_a_plugin_raises_leaves_as_a_typed_problem(self):
        typed = self.raised(self.failing(Problem.rate_limited("slow down", retry_after=1.0001)))
        self.assertEqual(
            (case(typed.kind)[0], typed.message, typed.retry_after_ms), ("rate-limited", "slow down", 1001)
        )
        for error in (KeyError("boom"), SystemExit("boom"), RecursionError("boom"), MemoryError("boom")):
            problem = self.raised(self.failing(error))
            self.assertEqual((case(problem.kind)[0], problem.message), ("internal", "the plugin failed"))
            self.assertIn("boom", problem.log_detail)
            self.assertRegex(problem.log_detail, r"test_sdk\.py:\d+ in metrics$")
        ours = object()
        self.assertIs(self.raised(self.failing(Err(ours))), ours, "what the host said stays as it came")
        with self.assertRaises(ValueError):
            Problem("bad", "x")
        self.assertEqual(Problem.rate_limited("x", retry_after=math.inf).retry_after_ms, 2**64 - 1)

    def test_a_run_tells_scores_problems_and_the_corpus(self):
        class Half(evaluator.Run):
            name, spread = "half", True

            def judge(self, sample):
                if sample.output == "bad":
                    raise Problem.unsupported("no", param="output")
                return evaluator.Score(self.name, math.nan if sample.output == "nan" else len(sample.output) / 2)

        class Plugin(evaluator.Evaluator):
            def metrics(self):
                return [evaluator.Metric("half", "Half", needs=("references",))]

            def start(self, metric, params):
                return Half()

        lifecycle, exported = evaluator.export(Plugin())
        self.assertEqual(lifecycle().check(), ["evaluate"])
        self.assertEqual(exported().metrics()[0].needs[0].name, "REFERENCES")
        run = exported().start("half", "{}")
        sent = run.push([evaluator.Sample(output, output) for output in ("a", "abc", "bad", "nan")])
        values = [one.outcome.value for one in sent]
        self.assertEqual([value.value for value in values[:2]], [0.5, 1.5])
        self.assertEqual([case(value.kind)[0] for value in values[2:]], ["unsupported", "internal"])
        corpus = run.finish()
        self.assertEqual([(s.name, s.value) for s in corpus.scores], [("half", 1.0), ("half_stddev", 0.5)])
        self.assertEqual(corpus.extra, [("judged", "2"), ("failed", "2")])
        self.assertIsNone(exported().start("half", "").finish().scores[0].value)

    def test_an_answer_is_asked_chunk_by_chunk_and_a_failure_in_it_is_typed(self):
        class Plugin(provider.Provider):
            def complete(self, request):
                yield provider.text("hi")
                if request == "broken":
                    raise RuntimeError("boom")
                yield provider.finish()
                yield provider.usage(1, 2)

        _, exported = provider.export(Plugin())
        answer = exported().complete("good")
        found = [case(answer.next()[0].event) for _ in range(3)]
        self.assertEqual([tag for tag, _ in found], ["text", "finish", "usage"])
        self.assertEqual((case(found[1][1])[0], found[2][1].output_tokens), ("stop", 2))
        self.assertIsNone(answer.next())
        broken = exported().complete("broken")
        broken.next()
        self.assertEqual(case(self.raised(broken.next).kind)[0], "internal")
        self.assertEqual(case(self.raised(exported().embed, None).kind)[0], "unsupported")

    def test_a_refusal_of_before_is_a_decision(self):
        class Plugin(instrumentor.Instrumentor):
            def before(self, request):
                if request == "bad":
                    raise Problem("content-blocked", "no")
                return super().before(request)

        _, exported = instrumentor.export(Plugin())
        tag, problem = case(exported().before("bad"))
        self.assertEqual((tag, case(problem.kind)[0]), ("reject", "content-blocked"))
        self.assertEqual(case(exported().before("good"))[0], "pass")

    def test_parameters_are_checked_at_the_edge(self):
        self.assertEqual(parameters(" ", []), {})
        for bad in ("[]", "null", "{", '{"other":1}', "[" * 100_000):
            with self.assertRaises(Problem) as caught:
                parameters(bad, ["known"])
            self.assertEqual(caught.exception.param, "params")
        self.assertEqual(count({"n": 3}, "n"), 3)
        for wrong in (-1, 1.5, "1", True):
            with self.assertRaises(Problem):
                count({"n": wrong}, "n")
        self.assertEqual(word({}, "w", ("a", "b"), "b"), "b")

    def test_events_and_waits_are_read_as_their_specifications_say(self):
        lines = ["event: a", "data: 1", "data:2", "", ": comment", "", "data", "", "data: cut"]
        self.assertEqual(list(events(lines)), [("a", "1\n2"), ("message", "")])
        with self.assertRaises(Problem):
            list(events(["data: 12345", "data: 12345"], most=20))
        # The same cases as the other languages' SDKs have.
        for value, fine, now, wait in [
            (" 120 ", "", 0, 120_000),
            ("1.5", "", 0, 1_500),
            ("0.0001", "", 0, 1),
            ("9", "2.5", 0, 3),
            ("", "7", 0, 7),
            ("9" * 13, "", 0, None),
            ("Thu, 01 Jan 1970 00:01:00 GMT", "", 20_000_000, 40_000),
            ("Thursday, 01-Jan-70 00:01:00 GMT", "", 20_000_000, 40_000),
            ("Thu Jan  1 00:01:00 1970", "", 20_000_000, 40_000),
            ("Thu, 01 Jan 1970 00:00:00 GMT", "", 20_000_000, 0),
            ("soon", "", 0, None),
            ("-5", "", 0, None),
            ("1.", "", 0, None),
            ("", "", 0, None),
        ]:
            headers = [("Retry-After", value), ("RETRY-AFTER-MS", fine)]
            self.assertEqual(retry_after_ms(headers, now), wait, (value, fine))

    def test_a_test_says_what_the_host_answers(self):
        host.pretend({"a": 1})
        self.addCleanup(host._pretended.clear)
        self.assertEqual(host.config(), {"a": 1})
        host.log("info", "nobody hears this")


if __name__ == "__main__":
    unittest.main()
