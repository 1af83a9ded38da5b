"""Server-sent events from lines (WHATWG HTML, 9.2.6), without a connection: the caller has the lines."""

from .problem import Problem

# Characters of one event: an answer's longest piece, and nothing that fills a guest's memory.
MOST = 16 << 20


def events(lines, most=MOST):
    """Pairs (event, data) of lines without their ends; a comment is dropped, and so is an event cut off by the end.

    An event of more than `most` characters is a `Problem`, `unavailable`: nothing after it can be read.
    """
    event, data, size = "", [], 0
    for line in lines:
        if not line:
            if data:
                yield event or "message", "\n".join(data)
            event, data, size = "", [], 0
            continue
        size += len(line)
        if size > most:
            raise Problem.unavailable(f"the upstream sent an event of more than {most} characters")
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            event = value
        elif name == "data":
            data.append(value)
