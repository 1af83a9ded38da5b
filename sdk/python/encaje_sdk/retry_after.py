"""How long an upstream asks to be left alone: `retry-after` (RFC 9110: seconds or a date) and `retry-after-ms`."""

import email.utils
import re

# More digits than this are centuries.
_NUMBER = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,12}))?")


def retry_after_ms(headers, now_us):
    """Milliseconds to wait, from the headers of an answer as pairs, or None where they say nothing that makes sense.

    `retry-after-ms` is the finer one and wins; `now_us` is microseconds of UTC since 1970, for dates; a date that is past
    is 0. A `Problem` takes seconds: `retry_after=wait / 1000`.
    """
    said = {}
    for name, value in headers:
        said.setdefault(name.lower(), value.strip())
    wait = _decimal(said.get("retry-after-ms", ""), 1)
    if wait is None:
        wait = _decimal(said.get("retry-after", ""), 1000)
    if wait is not None:
        return wait
    try:
        at = email.utils.parsedate_to_datetime(said.get("retry-after", ""))
        return max(0, int(at.timestamp()) * 1000 - now_us // 1000)
    except (ValueError, TypeError, OverflowError):
        return None


def _decimal(text, scale):
    """A number times `scale`, rounded up, so that nobody comes early."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    fraction = found[2] or "0"
    unit = 10 ** len(fraction)
    return -(-(int(found[1]) * unit + int(fraction)) * scale // unit)
