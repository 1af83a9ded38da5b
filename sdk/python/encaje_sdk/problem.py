"""Failures as exceptions: raise a `Problem`, and the host gets the WIT's `problem`. No text is made up here."""

KINDS = (
    "invalid-request",
    "unauthenticated",
    "denied",
    "not-found",
    "conflict",
    "too-large",
    "context-exceeded",
    "content-blocked",
    "unsupported",
    "rate-limited",
    "quota-exceeded",
    "overloaded",
    "unavailable",
    "timeout",
    "cancelled",
    "misconfigured",
    "internal",
)


class Problem(Exception):
    """One failure. `message` is for the caller: no secret, no path, no upstream body; `log_detail` is for the operator."""

    def __init__(
        self, kind, message, *, param=None, code=None, log_detail=None, retry_after=None, upstream_status=None
    ):
        """`kind` is the WIT's word, such as `not-found`; `retry_after` is in seconds, and is rounded up."""
        if kind not in KINDS:
            raise ValueError(f"there is no kind of problem {kind!r}")
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.param = param
        self.code = code
        self.log_detail = log_detail
        self.retry_after_ms = None if retry_after is None else milliseconds(retry_after)
        self.upstream_status = upstream_status

    @classmethod
    def invalid_request(cls, message, **more):
        """The caller's fault; never retried."""
        return cls("invalid-request", message, **more)

    @classmethod
    def unsupported(cls, message, **more):
        """Well-formed, but this plugin cannot do it; `param` names what."""
        return cls("unsupported", message, **more)

    @classmethod
    def not_found(cls, message, **more):
        """What was named does not exist."""
        return cls("not-found", message, **more)

    @classmethod
    def too_large(cls, message, **more):
        """More than a cap allows."""
        return cls("too-large", message, **more)

    @classmethod
    def rate_limited(cls, message, **more):
        """Try later, not before `retry_after` seconds."""
        return cls("rate-limited", message, **more)

    @classmethod
    def unavailable(cls, message, **more):
        """The other end's fault; retried where the call is safe to repeat."""
        return cls("unavailable", message, **more)

    @classmethod
    def misconfigured(cls, message, **more):
        """The operator's fault: a wrong configuration, a missing grant."""
        return cls("misconfigured", message, **more)

    @classmethod
    def internal(cls, message, **more):
        """The plugin's own fault."""
        return cls("internal", message, **more)


def milliseconds(seconds):
    """Whole milliseconds, rounded up so that nobody comes early; at most what a `u64` holds."""
    if seconds >= 2.0**64 / 1000:
        return 2**64 - 1
    whole = int(seconds * 1000)
    return max(0, whole + (whole < seconds * 1000))
