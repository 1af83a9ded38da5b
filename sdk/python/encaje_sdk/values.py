"""Variants as pairs. The generated bindings have a class a case; plugins and their tests want `("text", "hello")`."""

import re


def case(value):
    """A variant as (the WIT's name of the case, its payload or None). A pair is one already."""
    if isinstance(value, tuple):
        return value if len(value) == 2 else (value[0], None)
    name = type(value).__name__.partition("_")[2]
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower(), getattr(value, "value", None)


def made(module, variant, pair):
    """The bindings' object for a pair: `made(chat, "ChatEvent", ("text", "hi"))`."""
    tag, payload = case(pair)
    of = getattr(module, variant + "_" + "".join(word.capitalize() for word in tag.split("-")), None)
    if of is None:
        of, payload = getattr(module, variant + "_Other"), (tag, payload)
    return of() if payload is None else of(payload)
