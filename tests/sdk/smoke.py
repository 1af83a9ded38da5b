"""Smoke test with the real `openai` client, unmodified, against a running server.

    pip install -r tests/sdk/requirements.txt
    python tests/sdk/smoke.py --base-url http://127.0.0.1:8080/v1 --chat-model smollm2-135m-instruct \
        --embed-model all-minilm-l6-v2 --scripted-model stub

The base URL may come from OPENAI_BASE_URL, the key from OPENAI_API_KEY. It prints a line a check and
`N passed, N failed` at the end, and exits with 1 when a check failed. It checks the wire, not what a model says.
"""

import argparse
import asyncio
import base64
import json
import math
import os
import struct
import sys
import time
import traceback

import openai

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def check_with_script(function):
    """A check that needs the stub provider's model."""
    function.needs_script = True
    return check(function)


def ensure(condition, message):
    """Unlike `assert`, it is there under `python -O` too."""
    if not condition:
        raise AssertionError(message)


def refused(kind, call):
    """Runs a call that must fail with exactly this class of the client's exceptions."""
    try:
        call()
    except openai.APIError as error:
        ensure(type(error) is kind, f"expected {kind.__name__}, got {type(error).__name__}: {error}")
        return error
    raise AssertionError(f"expected {kind.__name__}, but the call succeeded")


ASK = [{"role": "user", "content": "Say hello."}]


class Context:
    def __init__(self, arguments):
        self.url = arguments.base_url
        self.key = arguments.api_key
        self.chat = arguments.chat_model
        self.embed = arguments.embed_model
        self.unsupported = arguments.unsupported
        self.scripted = arguments.scripted_model
        self.client = self.connect()

    def connect(self, **options):
        settings = {"base_url": self.url, "api_key": self.key, "max_retries": 0, "timeout": 120}
        return openai.OpenAI(**(settings | options))


@check
def models_are_listed_and_found(context):
    ids = [model.id for model in context.client.models.list()]
    for wanted in (context.chat, context.embed):
        ensure(wanted in ids, f"{wanted} is not in {ids}")
        found = context.client.models.retrieve(wanted)
        ensure((found.id, found.object) == (wanted, "model"), found)


@check
def an_unknown_model_is_not_found(context):
    for call in (
        lambda: context.client.models.retrieve("no/such-model"),
        lambda: context.client.chat.completions.create(model="no/such-model", messages=ASK),
        lambda: context.client.embeddings.create(model="no/such-model", input="a"),
    ):
        error = refused(openai.NotFoundError, call)
        ensure(error.code == "model_not_found", error.body)
        ensure(error.param == "model", error.body)
        ensure(bool(error.request_id), "an error has no request id")


@check
def a_chat_is_answered(context):
    raw = context.client.chat.completions.with_raw_response.create(model=context.chat, messages=ASK, max_tokens=8)
    ensure(len(raw.headers["x-encaje-trace"]) == 32, raw.headers)
    ensure(bool(raw.headers["x-request-id"]), raw.headers)
    answer = raw.parse()
    ensure(answer.object == "chat.completion" and answer.id.startswith("chatcmpl-"), answer)
    ensure(abs(answer.created - time.time()) < 600, answer.created)
    [choice] = answer.choices
    ensure(choice.message.role == "assistant" and choice.message.content, choice)
    ensure(choice.finish_reason in ("stop", "length"), choice)
    usage = answer.usage
    ensure(usage.prompt_tokens > 0 and usage.completion_tokens > 0, usage)
    ensure(usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, usage)


@check
def a_chat_is_streamed_with_usage(context):
    stream = context.client.chat.completions.create(
        model=context.chat, messages=ASK, max_tokens=8, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    ensure(len({chunk.id for chunk in chunks}) == 1, "the chunks have different ids")
    ensure(chunks[0].choices[0].delta.role == "assistant", chunks[0])
    ensure(all(chunk.usage is None for chunk in chunks[:-1]), "usage before the last chunk")
    ensure(chunks[-1].choices == [] and chunks[-1].usage.completion_tokens > 0, chunks[-1])
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1])
    reasons = [chunk.choices[0].finish_reason for chunk in chunks[:-1] if chunk.choices[0].finish_reason]
    ensure(said and len(reasons) == 1, (said, reasons))


@check
def a_stream_without_usage_has_none(context):
    with context.client.chat.completions.create(model=context.chat, messages=ASK, max_tokens=4, stream=True) as stream:
        chunks = list(stream)
    ensure(all("usage" not in chunk.model_fields_set for chunk in chunks), "usage was sent unasked")
    ensure(all(len(chunk.choices) == 1 for chunk in chunks), "a chunk without a choice")


@check
def the_clients_own_accumulator_reads_a_stream(context):
    with context.client.chat.completions.stream(model=context.chat, messages=ASK, max_tokens=8) as stream:
        for _ in stream:
            pass
        try:
            final = stream.get_final_completion()
        except openai.LengthFinishReasonError as error:
            # The accumulator's own word for an answer that `max_tokens` ended.
            final = error.completion
    ensure(bool(final.choices[0].message.content), final)


@check
def a_stream_can_be_left_early(context):
    stream = context.client.chat.completions.create(model=context.chat, messages=ASK, max_tokens=64, stream=True)
    next(iter(stream))
    stream.close()
    answer = context.client.chat.completions.create(model=context.chat, messages=ASK, max_tokens=2)
    ensure(bool(answer.choices), "the next request was not answered")


@check
def the_asynchronous_client_is_served_concurrently(context):
    async def all_at_once():
        settings = {"base_url": context.url, "api_key": context.key, "max_retries": 0, "timeout": 120}
        async with openai.AsyncOpenAI(**settings) as client:
            calls = [client.chat.completions.create(model=context.chat, messages=ASK, max_tokens=4) for _ in range(4)]
            return await asyncio.gather(*calls)

    answers = asyncio.run(all_at_once())
    ensure(len({answer.id for answer in answers}) == 4, "two answers have one id")


@check
def harmless_parameters_are_accepted(context):
    answer = context.client.chat.completions.create(
        model=context.chat,
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        ],
        max_completion_tokens=4,
        temperature=0,
        top_p=1,
        seed=7,
        stop=["\n\n\n"],
        user="somebody",
        safety_identifier="somebody",
        prompt_cache_key="key",
        store=False,
        metadata={"purpose": "smoke"},
        service_tier="auto",
        response_format={"type": "text"},
        extra_headers={"OpenAI-Organization": "none", "Idempotency-Key": "smoke", "x-session-id": "smoke"},
    )
    ensure(bool(answer.choices), answer)


@check
def a_completion_is_answered(context):
    answer = context.client.completions.create(model=context.chat, prompt="Once upon a time", max_tokens=6)
    ensure(answer.object == "text_completion" and answer.choices[0].text, answer)
    echoed = context.client.completions.create(model=context.chat, prompt="Once upon", max_tokens=2, echo=True)
    ensure(echoed.choices[0].text.startswith("Once upon"), echoed)
    several = context.client.completions.create(model=context.chat, prompt=["One", "Two"], max_tokens=2)
    ensure([choice.index for choice in several.choices] == [0, 1], several)


@check
def a_completion_is_streamed(context):
    stream = context.client.completions.create(
        model=context.chat, prompt="Once", max_tokens=6, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    ensure("".join(choice.text for chunk in chunks for choice in chunk.choices), "nothing was said")
    ensure(chunks[-1].usage.completion_tokens > 0, chunks[-1])


@check
def embeddings_are_the_same_in_both_encodings(context):
    texts = ["hola", "The sea is wide."]
    # Left to itself the client asks for base64 and decodes it.
    decoded = context.client.embeddings.create(model=context.embed, input=texts)
    numbers = context.client.embeddings.create(model=context.embed, input=texts, encoding_format="float")
    coded = context.client.embeddings.with_raw_response.create(
        model=context.embed, input=texts, encoding_format="base64"
    ).http_response.json()
    ensure(numbers.usage.prompt_tokens > 0, numbers.usage)
    for index, (one, other) in enumerate(zip(decoded.data, numbers.data, strict=True)):
        ensure(one.index == other.index == index, "out of order")
        raw = base64.b64decode(coded["data"][index]["embedding"])
        unpacked = struct.unpack(f"<{len(raw) // 4}f", raw)
        ensure(len(one.embedding) == len(other.embedding) == len(unpacked) > 0, "lengths differ")
        for a, b, c in zip(one.embedding, other.embedding, unpacked, strict=True):
            ensure(math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9) and a == c, (a, b, c))


@check
def embeddings_take_one_text(context):
    answer = context.client.embeddings.create(model=context.embed, input="hello")
    ensure(len(answer.data) == 1, answer.data)


@check
def bad_values_are_bad_requests(context):
    create = context.client.chat.completions.create
    for param, call in {
        "temperature": lambda: create(model=context.chat, messages=ASK, temperature=9),
        "messages[0].role": lambda: create(model=context.chat, messages=[{"role": "king", "content": "Hi"}]),
        "messages": lambda: create(model=context.chat, messages=[]),
        "n": lambda: create(model=context.chat, messages=ASK, n=0),
        "input": lambda: context.client.embeddings.create(model=context.embed, input=""),
        "tool_choice": lambda: create(model=context.chat, messages=ASK, tool_choice="required"),
    }.items():
        error = refused(openai.BadRequestError, call)
        ensure(error.param == param, f"expected the parameter {param}: {error.body}")
        ensure(error.type == "invalid_request_error", error.body)


@check
def what_no_provider_can_do_is_a_bad_request(context):
    error = refused(
        openai.BadRequestError,
        lambda: context.client.chat.completions.create(
            model=context.chat, messages=ASK, extra_body={context.unsupported: {}}
        ),
    )
    ensure(error.param == context.unsupported, error.body)


def scripted(context, script, **options):
    """Asks the model whose provider takes its script from the request's `stub` member."""
    client = context.connect(**options)
    return client.chat.completions.create(model=context.scripted, messages=ASK, extra_body={"stub": script})


@check_with_script
def every_class_of_failure_has_its_exception(context):
    for script, kind in {
        "invalid-request": openai.BadRequestError,
        "context-exceeded": openai.BadRequestError,
        "unauthenticated": openai.AuthenticationError,
        "denied": openai.PermissionDeniedError,
        "not-found": openai.NotFoundError,
        "conflict": openai.ConflictError,
        "rate-limited": openai.RateLimitError,
        "unavailable": openai.InternalServerError,
        "timeout": openai.InternalServerError,
        "internal": openai.InternalServerError,
    }.items():
        refused(kind, lambda script=script: scripted(context, {"fail": script}))


@check_with_script
def the_client_heeds_whether_to_try_again(context):
    for script, kind, requests in (
        ("rate-limited", openai.RateLimitError, 3),
        ("overloaded", openai.InternalServerError, 3),
        # Left to itself the client tries these again too.
        ("quota-exceeded", openai.RateLimitError, 1),
        ("conflict", openai.ConflictError, 1),
    ):
        sent = []
        counted = openai.DefaultHttpxClient(
            event_hooks={"request": [lambda _, sent=sent: sent.append(time.monotonic())]}
        )
        fail = {"fail": script, "retry_after_ms": 700}
        options = {"max_retries": 2, "http_client": counted}
        refused(kind, lambda fail=fail, options=options: scripted(context, fail, **options))
        ensure(len(sent) == requests, f"{script} was asked {len(sent)} times instead of {requests}")
        if requests > 1:
            # Its own first wait is half a second at most.
            waited = sent[1] - sent[0]
            ensure(waited >= 0.6, f"{script} was asked again after {waited:.2f} s")


@check_with_script
def a_failure_in_a_stream_is_an_error(context):
    stream = context.client.chat.completions.create(
        model=context.scripted,
        messages=ASK,
        stream=True,
        extra_body={"stub": {"text": "one two three", "deltas": 3, "batch": 1, "fail": "unavailable", "fail_after": 2}},
    )
    heard = []
    try:
        for chunk in stream:
            heard.append(chunk)
    except openai.APIError as error:
        ensure(error.code == "stub_failure", error.body)
        ensure(bool(heard), "nothing came before the failure")
        return
    raise AssertionError("the stream ended as if nothing had happened")


@check_with_script
def tools_are_called(context):
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    script = {"tool_calls": [{"name": "weather", "arguments": {"city": "Cádiz"}}]}
    ask = {"model": context.scripted, "messages": ASK, "tools": tools, "extra_body": {"stub": script}}
    whole = context.client.chat.completions.create(**ask).choices[0]
    ensure(whole.finish_reason == "tool_calls", whole)
    [call] = whole.message.tool_calls
    ensure((call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Cádiz"}), call)
    pieces = [chunk.choices[0].delta.tool_calls for chunk in context.client.chat.completions.create(**ask, stream=True)]
    pieces = [piece[0] for piece in pieces if piece]
    ensure(pieces[0].id and pieces[0].function.name == "weather", pieces)
    ensure(json.loads("".join(piece.function.arguments for piece in pieces)) == {"city": "Cádiz"}, pieces)
    follow_up = ASK + [whole.message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    ensure(context.client.chat.completions.create(model=context.scripted, messages=follow_up).choices, "no follow-up")


@check
def unknown_routes_and_wrong_methods_are_told_apart(context):
    error = refused(openai.NotFoundError, lambda: context.client.get("/nothing", cast_to=object))
    ensure(error.code == "unknown_url", error.body)
    error = refused(openai.APIStatusError, lambda: context.client.get("/chat/completions", cast_to=object))
    ensure(error.status_code == 405 and error.response.headers["allow"] == "POST", error)


@check_with_script
def a_timeout_of_the_client_is_its_own(context):
    refused(openai.APITimeoutError, lambda: scripted(context, {"delay_ms": 5_000}, timeout=0.3))
    ensure(bool(scripted(context, {}).choices), "the server did not recover")


def main():
    parser = argparse.ArgumentParser(description="Smoke test with the openai client against a running server.")
    parser.add_argument("--base-url", default=os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:8080/v1"))
    parser.add_argument("--api-key", default=os.environ.get("OPENAI_API_KEY", "none"))
    parser.add_argument("--chat-model", required=True)
    parser.add_argument("--embed-model", required=True)
    parser.add_argument(
        "--unsupported",
        default="web_search_options",
        help="a parameter that the chat model's provider cannot do",
    )
    parser.add_argument(
        "--scripted-model",
        default="",
        help="a model answered by the stub provider, for failures and tool calls; empty skips those checks",
    )
    context = Context(parser.parse_args())
    passed = failed = 0
    for function in CHECKS:
        name = function.__name__.replace("_", " ")
        if getattr(function, "needs_script", False) and not context.scripted:
            print(f"skip  {name}: it needs --scripted-model")
            continue
        try:
            function(context)
            passed += 1
            print(f"ok    {name}")
        except Exception:  # A check may fail in any way, and the others still run.
            failed += 1
            print(f"FAIL  {name}")
            traceback.print_exc(file=sys.stdout)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
