"""Instrumentors: subclass `Instrumentor`, then `Lifecycle, Instrumentor = export(MyInstrumentor())` in the entry module.
Requests, chunks and spans are the bindings' own objects; `encaje_sdk.case` reads their variants."""

from .guard import guarded, lifecycle
from .problem import Problem
from .values import made


class Instrumentor:
    """What an instrumentor plugin does. The host calls the hooks that `check` names."""

    def check(self):
        """Some of `before`, `filter`, `after`, `export-spans`, `ingest`."""
        return ["before"]

    def before(self, request):
        """`("pass", None)`, `("replace", request)`, or raise a `Problem` for the caller."""
        return ("pass", None)

    def filter(self, request):
        """An object with `push(chunks)` and `finish()`, each of which returns chunks."""
        raise Problem.unsupported("this instrumentor has no `filter`")

    def after(self, exchange):
        """Tags for the call's trace."""
        raise Problem.unsupported("this instrumentor has no `after`")

    def export_spans(self, batch):
        """Sends spans elsewhere."""
        raise Problem.unsupported("this instrumentor has no `export-spans`")

    def ingest(self, format, payload):
        """The bindings' spans of a foreign payload."""
        raise Problem.unsupported("this instrumentor has no `ingest`")


def export(plugin):
    """The classes `Lifecycle` and `Instrumentor` that the entry module must have."""

    class Exported:
        @guarded
        def before(self, request):
            from wit_world.exports import instrumentor

            from .guard import record

            try:
                decision = plugin.before(request)
            except Problem as problem:
                # A refusal is a decision; other exceptions are failures, about which the operator has said what to do.
                decision = ("reject", record(problem))
            return made(instrumentor, "Decision", decision)

        @guarded
        def open_filter(self, request):
            return _Filter(plugin.filter(request))

        @guarded
        def after(self, exchange):
            from wit_world.exports import instrumentor

            return instrumentor.Annotation([], [], list(plugin.after(exchange)))

        @guarded
        def export_spans(self, batch):
            plugin.export_spans(batch)

        @guarded
        def ingest(self, format, payload):
            return plugin.ingest(format, payload)

    return lifecycle(plugin), Exported


class _Filter:
    """The resource that sees an answer as it streams."""

    def __init__(self, filter):
        self._filter = filter

    @guarded
    def push(self, chunks):
        return self._filter.push(chunks)

    @guarded
    def finish(self):
        return self._filter.finish()
