"""The provider {{name}}: answers with what was asked, word by word."""

from encaje_sdk import provider

MODEL = "{{name}}"


class Plugin(provider.Provider):
    """The plugin."""

    def models(self):
        return [provider.Model(MODEL, "me")]

    def complete(self, request):
        provider.refuse_beyond(request)
        said = provider.messages(request)
        asked = [text for role, text in said if role == "user"][-1:]
        words = " ".join(asked).split()
        return answer(words, sum(len(text.split()) for _, text in said), request.sampling.max_tokens)


def answer(words, read, most):
    """The words, one chunk each, then why it ended and what it took."""
    given = words if most is None else words[:most]
    for place, word in enumerate(given):
        yield provider.text(word if place == 0 else f" {word}")
    yield provider.finish("stop" if given == words else "length")
    yield provider.usage(read, len(given))


Lifecycle, Provider = provider.export(Plugin())
