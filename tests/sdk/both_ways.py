"""The same questions with the real `openai` client to a server and to one in front of it: the answers must be the same.

    python tests/sdk/both_ways.py --behind http://127.0.0.1:18080/v1 --front http://127.0.0.1:18081/v1 --model stub

Each question is asked by the synchronous and by the asynchronous client; parsed at once, through `with_raw_response` and
through `with_streaming_response`, which is read off the wire; whole and, where the call can, streamed. Each answer must be
what `questions.py` expects, so that two servers with one fault do not pass, and the two must not differ. What names the
answer itself (ids, times) and how a stream was cut is left out of the comparison; everything else counts, errors included.
It prints a line a question and `N passed, N failed` at the end, and exits with 1 when an answer was wrong.
"""

import argparse
import asyncio
import contextlib
import inspect
import itertools
import json
import operator
import sys

import openai
from openai.pagination import AsyncPage, SyncPage
from questions import CHATS, COMPLETIONS, EMBEDDINGS, LISTS, MODELS

CALLS = {
    "chat.completions.create": CHATS,
    "completions.create": COMPLETIONS,
    "embeddings.create": EMBEDDINGS,
    "models.retrieve": MODELS,
    "models.list": LISTS,
}
STREAMING = ("chat.completions.create", "completions.create")
NAMELESS = ("models.list",)

VOLATILE = {"id", "created", "system_fingerprint"}
# What a stream's chunks say anew; other texts go on.
REPEATED = {"id", "object", "model", "system_fingerprint", "finish_reason", "role", "type", "name"}
AGAIN = ("retry-after", "retry-after-ms", "x-should-retry")


async def settled(value):
    """What a call gives: the asynchronous client's is waited for."""
    return await value if inspect.isawaitable(value) else value


async def all_of(items):
    return [item async for item in items] if hasattr(items, "__aiter__") else list(items)


def joined(whole, piece, name=None):
    """A stream so far and what comes next; items with an index have their places, other ones follow."""
    if isinstance(piece, dict):
        whole = whole or {}
        return whole | {name: joined(whole.get(name), part, name) for name, part in piece.items()}
    if isinstance(piece, list) and piece and isinstance(piece[0], dict) and "index" in piece[0]:
        places = {item["index"]: item for item in whole or []}
        for item in piece:
            places[item["index"]] = joined(places.get(item["index"]), item)
        return [places[index] for index in sorted(places)]
    if isinstance(piece, list) or (isinstance(piece, str) and name not in REPEATED):
        return whole + piece if whole else piece
    return whole if piece is None else piece


def streamed(chunks):
    """The whole answer that the chunks are, however its texts were cut."""
    whole = {}
    for chunk in chunks:
        whole = joined(whole, chunk)
    for choice in whole.get("choices", []):
        if "delta" in choice:
            choice["message"] = choice.pop("delta")
    return whole


async def parsed(answer):
    if isinstance(answer, openai.Stream | openai.AsyncStream):
        return streamed([chunk.to_dict() for chunk in await all_of(answer)])
    if isinstance(answer, SyncPage | AsyncPage):
        return answer.to_dict() | {"data": [item.to_dict() for item in await all_of(answer)]}
    return answer.to_dict()


async def off_the_wire(response):
    if not response.headers["content-type"].startswith("text/event-stream"):
        return await settled(response.json())
    lines = await all_of(response.iter_lines())
    *events, end = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    if end != "[DONE]":
        # What the client's own reader makes of it.
        raise openai.APIError("the stream broke off", response.http_request, body=json.loads(end).get("error"))
    return streamed(map(json.loads, events))


def head(response):
    return {"status": response.status_code, "type": response.headers["content-type"]}


async def asked(part, method, way, ask):
    """The body of the answer as plain values and, of a way that shows it, the head."""
    if way == "parsed":
        return {"body": await parsed(await settled(getattr(part, method)(**ask)))}
    if way == "raw":
        response = await settled(getattr(part.with_raw_response, method)(**ask))
        return {"head": head(response), "body": await parsed(await settled(response.parse()))}
    opened = getattr(part.with_streaming_response, method)(**ask)
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context if hasattr(opened, "__aenter__") else stack.enter_context
        response = await settled(enter(opened))
        return {"head": head(response), "body": await off_the_wire(response)}


async def told(client, call, way, ask):
    """How it ended, an error too."""
    path, method = call.rsplit(".", 1)
    try:
        return await asked(operator.attrgetter(path)(client), method, way, ask)
    except openai.APIError as error:
        headers = error.response.headers if isinstance(error, openai.APIStatusError) else {}
        members = {name: getattr(error, name, None) for name in ("status_code", "type", "code", "param")}
        return {"failed": type(error).__name__} | members | {name: headers.get(name) for name in AGAIN}
    except Exception as error:  # Whatever it is, the client let it through, and the other questions are still asked.
        return {"failed": repr(error)}


def matches(expected, value):
    """Whether the value has all that is expected; the members of an object that nothing is said about are free."""
    if isinstance(expected, type):
        return isinstance(value, expected)
    if callable(expected):
        try:
            return bool(expected(value))
        except TypeError:  # It asks for a value of another kind.
            return False
    if isinstance(expected, dict):
        return isinstance(value, dict) and all(matches(part, value.get(name)) for name, part in expected.items())
    if isinstance(expected, list):
        return isinstance(value, list) and len(value) == len(expected) and all(map(matches, expected, value))
    return value == expected


def unnamed(answer):
    """An answer without what names it. A model's name is what it is."""
    if "choices" not in answer.get("body", {}):
        return answer
    return answer | {"body": {name: part for name, part in answer["body"].items() if name not in VOLATILE}}


def fault(behind, front, expected, of_front=None):
    """What is wrong with two answers, if anything is."""
    if not matches(expected, behind):
        return "not what is expected of the server behind"
    if not matches(of_front or expected, front):
        return "not what is expected of the server in front"
    return None if of_front or unnamed(behind) == unnamed(front) else "the answers differ"


def ways(call, ask):
    """Every way of asking: the client, how the answer is read, and what is asked."""
    shapes = [ask]
    if call in STREAMING and "stream" not in ask:
        shapes.append(ask | {"stream": True, "stream_options": {"include_usage": True}})
    return list(itertools.product(("sync", "async"), ("parsed", "raw", "streaming"), shapes))


async def compared(behind, front, model):
    """The numbers of questions that were answered rightly and wrongly."""
    passed = failed = 0
    for call, questions in CALLS.items():
        for name, (ask, *expected) in questions.items():
            lines = []
            asked_ways = ways(call, ask if call in NAMELESS else {"model": model} | ask)
            for client, way, shape in asked_ways:
                answers = [await told(server[client], call, way, shape) for server in (behind, front)]
                if wrong := fault(*answers, *expected):
                    lines.append(f"  {client}, {way}{', streamed' if shape.get('stream') else ''}: {wrong}")
                    for where, answer in zip(("behind", "front "), answers, strict=True):
                        lines.append(f"    {where} {json.dumps(answer, default=str)}")
            passed, failed = passed + (not lines), failed + bool(lines)
            print("\n".join([f"{'FAIL' if lines else 'ok  '}  {name} ({len(asked_ways)} ways)", *lines]))
    return passed, failed


async def run(options):
    async with contextlib.AsyncExitStack() as stack:
        servers = []
        for url in (options.behind, options.front):
            settings = {"base_url": url, "api_key": "none", "max_retries": 0, "timeout": 60}
            sync = stack.enter_context(openai.OpenAI(**settings))
            servers.append({"sync": sync, "async": await stack.enter_async_context(openai.AsyncOpenAI(**settings))})
        return await compared(*servers, options.model)


def main():
    parser = argparse.ArgumentParser(description="Compares the answers of two servers, one in front of the other.")
    parser.add_argument("--behind", required=True)
    parser.add_argument("--front", required=True)
    parser.add_argument("--model", required=True, help="a model answered by the stub provider")
    passed, failed = asyncio.run(run(parser.parse_args()))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
