"""Between the plugin and the bindings: whatever a plugin raises leaves as a typed problem. An exception that left the
guest would end its instance, and tell the caller nothing."""

import functools

from .problem import Problem
from .values import made

# Characters of an exception's text, and places of its traceback's end, in the operator's log.
TEXT = 500
PLACES = 12


def guarded(function):
    """The function, with its exceptions as the bindings' `Err`."""

    @functools.wraps(function)
    def inner(*arguments):
        try:
            return function(*arguments)
        except BaseException as error:
            raise err(error) from None

    return inner


def err(error):
    """What the bindings raise for this exception."""
    from componentize_py_types import Err

    return error if isinstance(error, Err) else Err(record(error))


def record(error):
    """The WIT's record for this exception; what a host call failed with stays as it came."""
    from componentize_py_types import Err
    from wit_world.imports import errors

    if isinstance(error, Err):
        return error.value
    if not isinstance(error, Problem):
        error = Problem.internal("the plugin failed", code="plugin_exception", log_detail=detail(error))
    kind = made(errors, "ProblemKind", (error.kind, None))
    return errors.Problem(
        kind, error.message, error.log_detail, error.code, error.param, error.retry_after_ms, error.upstream_status, []
    )


def detail(error):
    """What was raised and where. The module `traceback` would read the sources, and a guest that opens a file ends."""
    places, at = [], error.__traceback__
    while at is not None:
        code = at.tb_frame.f_code
        places.append(f"{code.co_filename}:{at.tb_lineno} in {code.co_name}")
        at = at.tb_next
    return f"{type(error).__name__}: {error}"[:TEXT] + "".join(f"; {place}" for place in places[-PLACES:])


def lifecycle(plugin):
    """The class that exports `lifecycle` for a plugin."""

    class Lifecycle:
        @guarded
        def check(self):
            return list(plugin.check())

    return Lifecycle
