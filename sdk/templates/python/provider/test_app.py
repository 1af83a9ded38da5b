"""Run with `python3 -m unittest`."""

import sys
import unittest
from pathlib import Path
from types import SimpleNamespace as Record

sys.path.insert(0, str(Path(__file__).parent / ".encaje" / "sdk"))

import app
from encaje_sdk import Problem


def request(*texts, **more):
    """A conversation of the user's."""
    messages = [Record(role=("user", None), content=[Record(body=("text", text), extra=[])]) for text in texts]
    sampling = Record(choices=more.pop("choices", 1), max_tokens=more.pop("max_tokens", None))
    return Record(input=("messages", messages), tools=more.pop("tools", []), sampling=sampling)


def events(asked):
    return [chunk.event for chunk in app.Plugin().complete(asked)]


class Echo(unittest.TestCase):
    def test_the_last_message_comes_back_with_its_end_and_its_usage(self):
        *said, finish, usage = events(request("first", "hello big world"))
        self.assertEqual("".join(text for _, text in said), "hello big world")
        self.assertEqual(finish, ("finish", ("stop", None)))
        self.assertEqual((usage[1].input_tokens, usage[1].output_tokens), (4, 3))

    def test_an_answer_ends_at_max_tokens_and_says_so(self):
        *said, finish, _ = events(request("a b c", max_tokens=2))
        self.assertEqual((said, finish[1][0]), ([("text", "a"), ("text", " b")], "length"))

    def test_what_it_cannot_do_is_refused_before_it_starts(self):
        for more, param in [({"tools": [{}]}, "tools"), ({"choices": 2}, "n")]:
            with self.assertRaises(Problem) as caught:
                app.Plugin().complete(request("a", **more))
            self.assertEqual((caught.exception.kind, caught.exception.param), ("unsupported", param))


if __name__ == "__main__":
    unittest.main()
