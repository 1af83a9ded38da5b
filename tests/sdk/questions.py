"""What `both_ways.py` asks, and what the stub provider answers.

A question is what is asked, what is expected and, where the server in front has words of its own for it, what is expected
of that one. What is expected names what matters and no more: members of objects, every item of a list, a type or a
function where the value itself does not matter. How a question is asked and how the answer is read is `both_ways.py`'s.
"""

import math

import openai

PICTURE = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "answer",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"n": {"type": "integer"}},
            "required": ["n"],
            "additionalProperties": False,
        },
    },
}


def user(content):
    return [{"role": "user", "content": content}]


def stub(script):
    return {"extra_body": {"stub": script}}


def answers(**body):
    return {"body": body}


def says(*contents, reason="stop", **message):
    """A chat of these choices; what else is named is in the message of each."""
    choices = [{"finish_reason": reason, "message": {"content": content} | message} for content in contents]
    return answers(choices=choices)


def calls(*arguments):
    made = [{"id": str, "function": {"name": "weather", "arguments": text}} for text in arguments]
    return answers(choices=[{"finish_reason": "tool_calls", "message": {"tool_calls": made}}])


def completes(*texts):
    return answers(choices=[{"finish_reason": "stop", "text": text} for text in texts])


def embeds(count, length):
    """Vectors of numbers, or of four bytes a number in base64: the client asks for that unless it is told otherwise."""
    coded = 4 * math.ceil(4 * length / 3)
    data = [
        {"index": index, "embedding": lambda vector: len(vector) == (length if isinstance(vector, list) else coded)}
        for index in range(count)
    ]
    return answers(data=data, usage={"prompt_tokens": int})


def fails(kind, code="stub_failure", **more):
    return {"failed": kind.__name__, "code": code} | more


def told_to_fail(kind, *expected):
    script = stub({"fail": kind, "retry_after_ms": 1500})
    later = {"retry-after": "2", "retry-after-ms": "1500"}
    return {"messages": user("x"), **script}, *(each | later for each in expected)


BREAKS = {
    "messages": user("x"),
    **stub({"text": "one two three", "deltas": 3, "batch": 1, "fail": "unavailable", "fail_after": 2}),
}
NO_SUCH_MODEL = {"model": "no/such-model"}
NOT_FOUND = fails(openai.NotFoundError, "model_not_found", param="model")

CHATS = {
    "a plain chat": ({"messages": user("Tell me of the sea.")}, says("echo: Tell me of the sea.")),
    "a conversation": (
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "¿Qué tal?", "name": "ann"},
                {"role": "assistant", "content": "Bien. 🦭"},
                {"role": "user", "content": [{"type": "text", "text": "And"}, {"type": "text", "text": "you?"}]},
            ]
        },
        says("echo: Andyou?"),
    ),
    "three choices": ({"messages": user("x"), "n": 3}, says("echo: x", "echo: x (2)", "echo: x (3)")),
    "probabilities": (
        {"messages": user("one two"), "logprobs": True, "top_logprobs": 3},
        answers(
            choices=[
                {
                    "message": {"content": "echo: one two"},
                    "logprobs": {
                        "content": [
                            {"token": token, "logprob": float, "top_logprobs": [{"token": str, "logprob": float}] * 3}
                            for token in ("echo:", " one", " two")
                        ]
                    },
                }
            ]
        ),
    ),
    "a tool that must be called": (
        {"messages": user("x"), "tools": [WEATHER], "tool_choice": "required"},
        calls("{}"),
    ),
    "several tool calls": (
        {
            "messages": user("x"),
            "tools": [WEATHER],
            **stub({"tool_calls": [{"name": "weather", "arguments": {"city": c}} for c in ("Cádiz", "Oslo")]}),
        },
        calls('{"city":"Cádiz"}', '{"city":"Oslo"}'),
    ),
    "a tool's result": (
        {
            "messages": user("x")
            + [
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "call_1",
                            "type": "function",
                            "function": {"name": "weather", "arguments": '{"city":"Oslo"}'},
                        }
                    ],
                },
                {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
            ],
            "tools": [WEATHER],
        },
        says("echo: x"),
    ),
    "an answer of a schema": ({"messages": user("x"), "response_format": SCHEMA}, says('{"n":0}')),
    "any JSON": (
        {"messages": user("json"), "response_format": {"type": "json_object"}},
        says('{"text":"echo: json"}'),
    ),
    "a picture": (
        {
            "messages": user(
                [
                    {"type": "text", "text": "What is it?"},
                    {"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}},
                ]
            )
        },
        # The three words and the picture.
        answers(choices=[{"message": {"content": "echo: What is it?"}}], usage={"prompt_tokens": 4}),
    ),
    "a short answer": (
        {"messages": user("one two three four five"), "max_tokens": 2},
        says("echo: one", reason="length"),
    ),
    "a stop string": ({"messages": user("one two three"), "stop": ["two"]}, says("echo: one ")),
    "sampling": (
        {"messages": user("x"), "temperature": 0.3, "top_p": 0.9, "seed": 7, "presence_penalty": 0.1},
        says("echo: x"),
    ),
    "reasoning": (
        {"messages": user("x"), **stub({"reasoning": "hm", "text": "yes"})},
        says("yes", reasoning_content="hm"),
    ),
    "no such model": ({"messages": user("x"), **NO_SUCH_MODEL}, NOT_FOUND),
    "a bad temperature": (
        {"messages": user("x"), "temperature": 9},
        fails(openai.BadRequestError, "decimal_above_max_value", param="temperature"),
    ),
    "a bad role": (
        {"messages": [{"role": "king", "content": "x"}]},
        fails(openai.BadRequestError, "invalid_value", param="messages[0].role"),
    ),
    "a failure after some words": (BREAKS | {"stream": False}, fails(openai.InternalServerError, status_code=503)),
    "a failure in a stream": (BREAKS | {"stream": True}, fails(openai.APIError)),
    # The key that is refused is the operator's, not the client's.
    "failure unauthenticated": told_to_fail(
        "unauthenticated",
        fails(openai.AuthenticationError),
        fails(openai.InternalServerError, "upstream_key_refused", status_code=500),
    ),
    # What went wrong inside another server is, from outside, that it cannot be had.
    "failure internal": told_to_fail(
        "internal",
        fails(openai.InternalServerError, status_code=500),
        fails(openai.InternalServerError, status_code=503),
    ),
} | {
    f"failure {kind}": told_to_fail(kind, fails(error))
    for kind, error in {
        "invalid-request": openai.BadRequestError,
        "unsupported": openai.BadRequestError,
        "context-exceeded": openai.BadRequestError,
        "content-blocked": openai.BadRequestError,
        "denied": openai.PermissionDeniedError,
        "not-found": openai.NotFoundError,
        "conflict": openai.ConflictError,
        "too-large": openai.APIStatusError,
        "rate-limited": openai.RateLimitError,
        "quota-exceeded": openai.RateLimitError,
        "unavailable": openai.InternalServerError,
        "overloaded": openai.InternalServerError,
        "timeout": openai.InternalServerError,
    }.items()
}

COMPLETIONS = {
    "a completion": ({"prompt": "Once upon a time", "max_tokens": 6}, completes("echo: Once upon a time")),
    "a completion of tokens": ({"prompt": [1, 2, 3]}, completes("echo: 1 2 3")),
    "two completions": ({"prompt": ["One", "Two"], "max_tokens": 3}, completes("echo: One", "echo: Two")),
    "two completions of one prompt": ({"prompt": "One", "n": 2}, completes("echo: One", "echo: One (2)")),
    "an echoed one": ({"prompt": "Once", "max_tokens": 3, "echo": True}, completes("Onceecho: Once")),
    "probabilities of a completion": (
        {"prompt": "one", "logprobs": 2},
        answers(
            choices=[
                {
                    "text": "echo: one",
                    "logprobs": {
                        "tokens": ["echo:", " one"],
                        "token_logprobs": [float] * 2,
                        "top_logprobs": [{"echo:": float}, {" one": float}],
                        "text_offset": [0, 5],
                    },
                }
            ]
        ),
    ),
    "a completion of no such model": ({"prompt": "x", **NO_SUCH_MODEL}, NOT_FOUND),
    "a completion of no known parameter": (
        {"prompt": "x", "suffix": "y"},
        fails(openai.BadRequestError, "unsupported_parameter", param="suffix"),
    ),
}

EMBEDDINGS = {
    "embeddings": ({"input": ["hola", "hello"]}, embeds(2, 384)),
    "embeddings as numbers": ({"input": ["hola"], "encoding_format": "float", "dimensions": 16}, embeds(1, 16)),
    "embeddings of tokens": ({"input": [[1, 2, 3], [4]]}, embeds(2, 384)),
    "an empty input": ({"input": ""}, fails(openai.BadRequestError, "empty_string", param="input")),
    "embeddings of no such model": ({"input": "x", **NO_SUCH_MODEL}, NOT_FOUND),
}

MODELS = {
    "a model": (
        {},
        answers(object="model", id=str, capabilities=["chat", "embed", "tools", "json-schema", "logprobs"]),
    ),
    # A pattern routes every model to the server behind, and a model that only a pattern answers is found.
    "a model that is not there": (NO_SUCH_MODEL, NOT_FOUND, answers(object="model", owned_by="up", id="no/such-model")),
}

# A list of none is not one.
LISTS = {"all models": ({}, answers(object="list", data=len))}
