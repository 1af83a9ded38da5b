"""Providers: subclass `Provider`, then `Lifecycle, Provider = export(MyProvider())` in the entry module. An answer is an
iterator of chunks; a generator is the simplest one."""

from dataclasses import dataclass, field

from .guard import guarded, lifecycle
from .problem import Problem
from .values import case, made


@dataclass
class Model:
    """A model as the provider describes it."""

    id: str
    owned_by: str
    created: int | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    capabilities: list = field(default_factory=lambda: ["chat"])
    extra: list = field(default_factory=list)


@dataclass
class Usage:
    """Counts of tokens of one request, all choices together."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    extra: list = field(default_factory=list)


@dataclass
class Chunk:
    """An event of one of the answers; `event` is a pair such as `("text", "hello")`."""

    choice: int
    event: tuple


def text(words, choice=0):
    """Whole characters of the answer."""
    return Chunk(choice, ("text", words))


def finish(reason="stop", choice=0):
    """Once a choice, after all else that it says: `stop`, `length`, `tool-calls`, `content-filter`."""
    return Chunk(choice, ("finish", (reason, None)))


def usage(input_tokens, output_tokens):
    """Once an answer, after the last text."""
    return Chunk(0, ("usage", Usage(input_tokens, output_tokens)))


def messages(request):
    """The request's conversation as pairs (role, text), oldest first; `unsupported` for other inputs and for media."""
    kind, found = case(request.input)
    if kind == "prompt":
        return [("user", found)]
    if kind != "messages":
        raise Problem.unsupported("this provider reads no token ids: send text", param="input")
    return [(case(message.role)[0], _text(message, place)) for place, message in enumerate(found)]


def _text(message, place):
    words = []
    for part in message.content:
        kind, found = case(part.body)
        if kind not in ("text", "reasoning", "refusal"):
            where = f"messages[{place}].content"
            raise Problem.unsupported(f"this provider reads text alone, and `{where}` has `{kind}`", param=where)
        words.append(found)
    return "".join(words)


# What a request may ask for beyond its messages, by the wire's names.
_WISHES = {
    "tools": lambda request: getattr(request, "tools", None),
    "tool_choice": lambda request: getattr(request, "tool_choice", None) is not None,
    "n": lambda request: getattr(request.sampling, "choices", 1) != 1,
    "stop": lambda request: getattr(request.sampling, "stop", None),
    "logprobs": lambda request: getattr(request.sampling, "logprobs", None) is not None,
    "logit_bias": lambda request: getattr(request.sampling, "logit_bias", None),
    "response_format": lambda request: (
        case(request.response_format)[0] != "text" if getattr(request, "response_format", None) is not None else False
    ),
    "reasoning_effort": lambda request: getattr(request, "reasoning_effort", None) is not None,
}


def refuse_beyond(request, supported=()):
    """`unsupported`, by name, for what a request asks for and the provider cannot do; `supported` is what it can."""
    asked = [name for name, wished in _WISHES.items() if wished(request)]
    more = [name for name, _ in getattr(request, "extra", None) or []]
    for param in asked + more:
        if param not in supported:
            raise Problem.unsupported(f"this provider does not know `{param}`", param=param)


class Provider:
    """What a provider plugin does; what it does not write is `unsupported`."""

    def check(self):
        """What it offers; raise a `Problem` for what keeps it from working."""
        return ["chat"]

    def models(self):
        """The list of `Model`s that it knows by name."""
        return []

    def complete(self, request):
        """An iterator of `Chunk`s. What keeps an answer from starting is best raised here, before the iterator."""
        raise Problem.unsupported("this provider does not chat")

    def embed(self, request):
        """The bindings' `embed-response`."""
        raise Problem.unsupported("this provider does not embed")

    def rerank(self, request):
        """The bindings' list of `ranked`."""
        raise Problem.unsupported("this provider does not rank")

    def count_tokens(self, request):
        """How many tokens the request's input has."""
        raise Problem.unsupported("this provider does not count tokens")


def export(plugin):
    """The classes `Lifecycle` and `Provider` that the entry module must have."""

    class Exported:
        @guarded
        def models(self):
            from wit_world.exports import provider

            return [provider.ModelInfo(**vars(model)) for model in plugin.models()]

        @guarded
        def complete(self, request):
            return _Completion(iter(plugin.complete(request)))

        @guarded
        def embed(self, request):
            return plugin.embed(request)

        @guarded
        def rerank(self, request):
            return plugin.rerank(request)

        @guarded
        def count_tokens(self, request):
            return plugin.count_tokens(request)

    return lifecycle(plugin), Exported


class _Completion:
    """The resource that the host asks for the next chunks."""

    def __init__(self, chunks):
        self._chunks = chunks

    @guarded
    def next(self):
        for chunk in self._chunks:
            return [_chunk(chunk)]
        return None


def _chunk(chunk):
    from wit_world.imports import chat

    kind, payload = chunk.event
    if kind == "finish":
        payload = made(chat, "FinishReason", payload)
    elif kind == "usage":
        payload = chat.Usage(**vars(payload))
    return chat.Chunk(chunk.choice, made(chat, "ChatEvent", (kind, payload)))
