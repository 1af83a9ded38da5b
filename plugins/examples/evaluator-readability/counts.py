"""Counts sentences, words and syllables of English text by rules, without a dictionary. Other languages are not its
matter: their syllables follow other rules."""

import re
import unicodedata

_FENCE = re.compile(r"^```.*?^```\s*$", re.MULTILINE | re.DOTALL)
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
# A sentence ends at its mark, with quotes and brackets behind it, before white space; or at an empty line, as headings do.
_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s|$)|\n\s*\n")
_ABBREVIATION = re.compile(r"(?:^|[\s(])(?:mr|mrs|ms|dr|prof|st|vs|etc|e\.g|i\.e|fig|no|[a-z])\.$", re.IGNORECASE)
_VOWELS = re.compile(r"[aeiouy]+")
# Two vowels that are two syllables: "create", "idea", "science", "radio", "being", "dual".
_SPLIT = re.compile(
    r"(?<!c)ea(?=t[eio])|dea\b|(?<![tscg])ia(?!n\b|ge)|(?<![tscgx])io(?!us)|ie(?=nc|nt|ty)|ua(?=[lt])|uo(?=us)|eo(?!n\b|us|pl)"
    r"|e(?=ing)|yi"
)
# A mute vowel before an ending: "movement", "lovely", "useful".
_INNER = re.compile(r"(?<=[^aeiouyl])e(?=(?:ment|ful|less|ly|ness)s?$)")
# Endings whose vowel is mute: "made", "likes", "walked", but not "table", "boxes", "wanted".
_MUTE = re.compile(r"(?:[^aeiouyl]|[aeiouy]l|ll)e$|(?:[^aeiouysxzcglh]|[^cs]h|[aeiouy]l)es$|[^aeiouytd]ed$")


def syllables(word):
    """How many syllables an English word has; at least 1. A rule of thumb: right for about nine words of ten."""
    letters = word.lower().replace("’", "'")
    # "café" is spelled with the letters of "cafe".
    letters = "".join(letter for letter in unicodedata.normalize("NFD", letters) if not unicodedata.combining(letter))
    letters = re.sub(r"'(s|t|re|ve|ll|d|m)$", "", letters).replace("'", "")
    letters = _INNER.sub("", letters)
    groups = len(_VOWELS.findall(letters)) + len(_SPLIT.findall(letters))
    if groups > 1 and _MUTE.search(letters):
        groups -= 1
    return max(1, groups)


def words(text):
    """The words: runs of letters, with apostrophes inside. Numbers and code blocks are none."""
    return _WORD.findall(_FENCE.sub("\n\n", text))


def sentences(text):
    """How many sentences with at least one word."""
    text = _FENCE.sub("\n\n", text)
    count, start = 0, 0
    for end in _END.finditer(text):
        piece = text[start : end.end()]
        if _ABBREVIATION.search(piece):
            continue
        count += bool(_WORD.search(piece))
        start = end.end()
    return count + bool(_WORD.search(text[start:]))
