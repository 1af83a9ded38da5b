"""JSON objects from outside, checked at the edge: unknown keys are errors, never ignored."""

import json

from .problem import Problem


def parameters(text, known, param="params"):
    """The JSON object in `text`, with the keys of `known` at most; an empty text is an object without entries."""
    if not text.strip():
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Problem.invalid_request(f"{param}: {error}", param=param) from None
    if not isinstance(found, dict):
        raise Problem.invalid_request(f"{param} must be a JSON object", param=param)
    for key in found:
        if key not in known:
            names = ", ".join(f"`{name}`" for name in known) or "none"
            raise Problem.invalid_request(f"{param}: unknown key `{key}`; there are {names}", param=param)
    return found


def count(found, key, param="params"):
    """The whole number from 0 up under this key, or None."""
    value = found.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**64:
        raise Problem.invalid_request(f"{param}.{key} must be a whole number from 0 up", param=f"{param}.{key}")
    return value


def word(found, key, words, default, param="params"):
    """One of these words under this key."""
    value = found.get(key, default)
    if value not in words:
        names = ", ".join(f"`{name}`" for name in words)
        raise Problem.invalid_request(f"{param}.{key} must be one of {names}", param=f"{param}.{key}")
    return value
