"""The header `Retry-After` (RFC 9110, 10.2.3): seconds or a date."""

import email.utils

# A day: what an upstream says beyond that is a mistake.
MOST = 86_400


def retry_after(value, now_seconds):
    """Seconds to wait, or None where the header says nothing that makes sense. `now_seconds` is UTC since 1970."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(int(value[:12]), MOST)
    try:
        at = email.utils.parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(0.0, at - now_seconds), MOST)
