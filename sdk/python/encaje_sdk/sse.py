"""Server-sent events from lines (WHATWG HTML, 9.2.6), without a connection: the caller has the lines."""


def events(lines):
    """Pairs (event, data) of lines without their ends; a comment is dropped, and so is an event cut off by the end."""
    event, data = "", []
    for line in lines:
        if not line:
            if data:
                yield event or "message", "\n".join(data)
            event, data = "", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            event = value
        elif name == "data":
            data.append(value)
