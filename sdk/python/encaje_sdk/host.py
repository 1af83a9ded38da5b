"""The host's capabilities that most plugins use. In plain Python, where there is no host, `pretend` says what to answer."""

import json

_pretended = {}


def pretend(config=None):
    """For tests: the configuration that `config` gives."""
    _pretended["config"] = config


def config():
    """The plugin's own table of the registry, with the schema's defaults."""
    if "config" in _pretended:
        return _pretended["config"] or {}
    from wit_world.imports import config as host

    return json.loads(host.get())


def log(level, message, **fields):
    """One line in the operator's log; `level` is `trace`, `debug`, `info`, `warn` or `error`. Never fails."""
    if _pretended:
        return
    from wit_world.imports import log as host

    host.write(host.Level[level.upper()], message, [(name, str(value)) for name, value in fields.items()])


def lines(response):
    """The lines of an HTTP answer as they come, for `sse.events`."""
    while (line := response.read_line()) is not None:
        yield line
