"""The same questions with the real `openai` client to a server and to one in front of it: the answers must be the same.

    python tests/sdk/both_ways.py --behind http://127.0.0.1:18080/v1 --front http://127.0.0.1:18081/v1 --model stub

Each question is asked by the synchronous and by the asynchronous client, whole and streamed, parsed and raw. What names the
answer itself (ids, times) is left out of the comparison; everything else counts, errors included. It prints a line a
question and `N passed, N failed` at the end, and exits with 1 when two answers differ.
"""

import argparse
import asyncio
import json
import sys

import openai

VOLATILE = {"id", "created", "system_fingerprint"}
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


CHATS = {
    "a plain chat": {"messages": user("Tell me of the sea.")},
    "a conversation": {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "¿Qué tal?", "name": "ann"},
            {"role": "assistant", "content": "Bien. 🦭"},
            {"role": "user", "content": [{"type": "text", "text": "And"}, {"type": "text", "text": "you?"}]},
        ]
    },
    "three choices": {"messages": user("x"), "n": 3},
    "probabilities": {"messages": user("one two three"), "logprobs": True, "top_logprobs": 3},
    "a tool that must be called": {"messages": user("x"), "tools": [WEATHER], "tool_choice": "required"},
    "several tool calls": {
        "messages": user("x"),
        "tools": [WEATHER],
        **stub({"tool_calls": [{"name": "weather", "arguments": {"city": c}} for c in ("Cádiz", "Oslo")]}),
    },
    "a tool's result": {
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
    "an answer of a schema": {"messages": user("x"), "response_format": SCHEMA},
    "any JSON": {"messages": user("json"), "response_format": {"type": "json_object"}},
    "a picture": {
        "messages": user(
            [
                {"type": "text", "text": "What is it?"},
                {"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}},
            ]
        )
    },
    "a short answer": {"messages": user("one two three four five"), "max_tokens": 2},
    "a stop string": {"messages": user("one two three"), "stop": ["two"]},
    "sampling": {"messages": user("x"), "temperature": 0.3, "top_p": 0.9, "seed": 7, "presence_penalty": 0.1},
    "reasoning": {"messages": user("x"), **stub({"reasoning": "hm", "text": "yes"})},
    "no such model": {"model": "no/such-model", "messages": user("x")},
    "a bad temperature": {"messages": user("x"), "temperature": 9},
    "a bad role": {"messages": [{"role": "king", "content": "x"}]},
} | {
    f"failure {kind}": {"messages": user("x"), **stub({"fail": kind, "retry_after_ms": 1500})}
    for kind in (
        "invalid-request",
        "context-exceeded",
        "content-blocked",
        "not-found",
        "rate-limited",
        "quota-exceeded",
        "unavailable",
        "overloaded",
    )
}

COMPLETIONS = {
    "a completion": {"prompt": "Once upon a time", "max_tokens": 6},
    "two completions": {"prompt": ["One", "Two"], "max_tokens": 3},
    "an echoed one": {"prompt": "Once", "max_tokens": 3, "echo": True},
}

EMBEDDINGS = {
    "embeddings": {"input": ["hola", "hello"]},
    "embeddings as numbers": {"input": ["hola"], "encoding_format": "float", "dimensions": 16},
    "embeddings of tokens": {"input": [[1, 2, 3], [4]]},
    "an empty input": {"input": ""},
}


def plain(answer):
    """A parsed answer as plain values, without what names it."""
    told = answer.model_dump() if hasattr(answer, "model_dump") else answer
    return {name: value for name, value in told.items() if name not in VOLATILE}


def failure(error):
    told = {"class": type(error).__name__, "status": getattr(error, "status_code", None)}
    body = error.body if isinstance(error.body, dict) else {}
    told |= {name: body.get(name) for name in ("type", "code", "param")}
    told["again"] = error.response.headers.get("retry-after") if isinstance(error, openai.APIStatusError) else None
    return told


def joined(chunks):
    """A stream, however its texts were cut: by choice and member."""
    said, reasons, usage, calls, tokens = {}, {}, None, {}, {}
    for chunk in chunks:
        usage = chunk.usage.model_dump() if getattr(chunk, "usage", None) else usage
        for choice in chunk.choices:
            reasons[choice.index] = choice.finish_reason or reasons.get(choice.index)
            if choice.logprobs:
                tokens.setdefault(choice.index, []).extend(choice.logprobs.model_dump()["content"] or [])
            delta = choice.delta.model_dump() if hasattr(choice, "delta") else {"text": choice.text}
            for call in delta.pop("tool_calls", None) or []:
                place = calls.setdefault((choice.index, call["index"]), {"name": "", "arguments": ""})
                for member in place:
                    place[member] += (call["function"] or {}).get(member) or ""
            for member, value in delta.items():
                if isinstance(value, str) and member != "role":
                    said[choice.index, member] = said.get((choice.index, member), "") + value
    texts = {key: text for key, text in said.items() if text}
    return repr(sorted(texts.items())), repr(sorted(reasons.items())), usage, repr(sorted(calls.items())), tokens


def asked(create, ask, stream):
    try:
        return joined(create(**ask, stream=True)) if stream else plain(create(**ask))
    except openai.APIError as error:
        return failure(error)


def asked_raw(create, ask):
    try:
        answer = create.with_raw_response.create(**ask) if hasattr(create, "with_raw_response") else create(**ask)
        told = answer.http_response.json()
        return answer.status_code, {name: value for name, value in told.items() if name not in VOLATILE}
    except openai.APIError as error:
        return failure(error)


async def asked_later(create, ask, stream):
    try:
        answer = await create(**ask, stream=True) if stream else await create(**ask)
        return joined([chunk async for chunk in answer]) if stream else plain(answer)
    except openai.APIError as error:
        return failure(error)


def every_way(url, model, kind, ask):
    """All answers of one server to one question."""
    settings = {"base_url": url, "api_key": "none", "max_retries": 0, "timeout": 60}
    ask = {"model": model} | ask
    streams = kind != "embeddings"
    if streams:
        streamed = ask | {"stream_options": {"include_usage": True}}

    def part(client):
        return {"chats": client.chat.completions, "completions": client.completions, "embeddings": client.embeddings}[
            kind
        ]

    with openai.OpenAI(**settings) as client:
        answers = {"sync": asked(part(client).create, ask, False), "raw": asked_raw(part(client), ask)}
        if streams:
            answers["sync, streamed"] = asked(part(client).create, streamed, True)

    async def later():
        async with openai.AsyncOpenAI(**settings) as client:
            answers["async"] = await asked_later(part(client).create, ask, False)
            if streams:
                answers["async, streamed"] = await asked_later(part(client).create, streamed, True)

    asyncio.run(later())
    return answers


def listed(url):
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=60) as client:
        return sorted(model.id for model in client.models.list())


def main():
    parser = argparse.ArgumentParser(description="Compares the answers of two servers, one in front of the other.")
    parser.add_argument("--behind", required=True)
    parser.add_argument("--front", required=True)
    parser.add_argument("--model", required=True)
    options = parser.parse_args()
    passed = failed = 0
    for kind, questions in {"chats": CHATS, "completions": COMPLETIONS, "embeddings": EMBEDDINGS}.items():
        for name, ask in questions.items():
            behind, front = (every_way(url, options.model, kind, ask) for url in (options.behind, options.front))
            differing = [way for way in behind if behind[way] != front[way]]
            passed, failed = passed + (not differing), failed + bool(differing)
            print(f"{'FAIL' if differing else 'ok  '}  {name}")
            for way in differing:
                print(
                    f"  {way}\n    behind {json.dumps(behind[way], default=str)}\n    front  {json.dumps(front[way], default=str)}"
                )
    missing = set(listed(options.behind)) - set(listed(options.front))
    passed, failed = passed + (not missing), failed + bool(missing)
    print(f"{'FAIL' if missing else 'ok  '}  models" + (f": {missing} are not listed in front" if missing else ""))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
