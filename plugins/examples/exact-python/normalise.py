"""Makes texts comparable as SQuAD's script does (Rajpurkar et al. 2016). The steps' order is fixed; no Unicode normal form."""

import re
import string

STEPS = ("case", "punctuation", "articles", "whitespace")

_PUNCTUATION = str.maketrans("", "", string.punctuation)
# White space as Unicode's property has it; `str.split` alone would add the separators U+001C to U+001F.
_SPACE = re.compile("[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")


def words(text):
    """The pieces between white space."""
    return [word for word in _SPACE.split(text) if word]


def normalise(text, steps):
    """The text after these steps."""
    if "case" in steps:
        text = text.lower()
    if "punctuation" in steps:
        text = text.translate(_PUNCTUATION)
    if "articles" in steps:
        text = _without_articles(text)
    if "whitespace" in steps:
        text = " ".join(words(text))
    return text


def _without_articles(text):
    """Each article becomes a space, wherever it is a word of its own."""
    pieces = re.split(r"(\w+)", text)
    return "".join(" " if piece.isascii() and piece.lower() in ("a", "an", "the") else piece for piece in pieces)
