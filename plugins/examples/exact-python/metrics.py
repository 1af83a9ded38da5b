"""Exact match, token F1 and length: parameters, and the value of one output. Exactly what evaluator-exact computes."""

from collections import Counter

from encaje_sdk import Problem
from encaje_sdk.evaluator import Run, Score
from encaje_sdk.parameters import count, parameters, word
from normalise import STEPS, normalise, words

# The same limits as evaluator-exact has, for the same reasons: see its limits.rs.
MAX_TEXT_BYTES = 1 << 20
MAX_REFERENCES = 256
MAX_REFERENCE_BYTES = 4 << 20


def size(text):
    """Bytes of UTF-8."""
    return len(text.encode())


def check(name, sample, needs_references):
    """Raises why a sample cannot be judged."""
    if size(sample.output) > MAX_TEXT_BYTES:
        raise _too_long("output")
    if not needs_references:
        return
    if not sample.references:
        message = f"`{name}` needs at least one reference"
        raise Problem.invalid_request(message, code="references_missing", param="references")
    if len(sample.references) > MAX_REFERENCES:
        raise Problem.too_large(f"a sample has at most {MAX_REFERENCES} references", param="references")
    sizes = [size(reference) for reference in sample.references]
    for place, length in enumerate(sizes):
        if length > MAX_TEXT_BYTES:
            raise _too_long(f"references[{place}]")
    if sum(sizes) > MAX_REFERENCE_BYTES:
        message = f"the references of a sample have at most {MAX_REFERENCE_BYTES} bytes together"
        raise Problem.too_large(message, param="references")


def _too_long(what):
    return Problem.too_large(f"`{what}` has more than {MAX_TEXT_BYTES} bytes; shorten it", param=what)


class Compared(Run):
    """A metric that compares with references: the best of them counts."""

    def __init__(self, name, compare, params):
        found = parameters(params, ["normalise"])
        steps = found.get("normalise", list(STEPS))
        if not isinstance(steps, list) or any(step not in STEPS for step in steps):
            names = ", ".join(f"`{step}`" for step in STEPS)
            raise Problem.invalid_request(f"params.normalise must be a list of {names}", param="params.normalise")
        self.name, self.compare, self.steps = name, compare, steps
        self.spread = name == "token_f1"

    def judge(self, sample):
        check(self.name, sample, True)
        output = normalise(sample.output, self.steps)
        best, place = 0.0, None
        for index, reference in enumerate(sample.references):
            value = self.compare(output, normalise(reference, self.steps))
            if value > best:
                best, place = value, index
        return Score(self.name, best, explanation=None if place is None else f"by references[{place}]")


def exact(output, reference):
    """1 for the same text."""
    return 1.0 if output == reference else 0.0


def token_f1(output, reference):
    """The harmonic mean of precision and recall over bags of tokens."""
    output, reference = words(output), words(reference)
    if not output or not reference:
        return exact(output, reference)
    common = (Counter(output) & Counter(reference)).total()
    return 2.0 * common / (len(output) + len(reference))


class Length(Run):
    """The output's length, or whether it lies between bounds."""

    name = "length"

    def __init__(self, params):
        found = parameters(params, ["unit", "min", "max"])
        self.unit = word(found, "unit", ("characters", "words", "bytes"), "characters")
        self.least, self.most = count(found, "min"), count(found, "max")
        if None not in (self.least, self.most) and self.least > self.most:
            message = "params.min is larger than params.max: no output could pass"
            raise Problem.invalid_request(message, param="params.min")
        self.spread = self.least is None and self.most is None

    def judge(self, sample):
        check(self.name, sample, False)
        measure = {"characters": len, "words": lambda text: len(words(text)), "bytes": size}[self.unit]
        length = measure(sample.output)
        if self.spread:
            return Score(self.name, float(length))
        within = (self.least is None or length >= self.least) and (self.most is None or length <= self.most)
        return Score(self.name, 1.0 if within else 0.0)
