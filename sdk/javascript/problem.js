/** Failures as exceptions: throw a `Problem`, and the host gets the WIT's `problem`. No text is made up here. */

const KINDS = [
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
];

/** One failure. `message` is for the caller: no secret, no path, no upstream body; `logDetail` is for the operator. */
export class Problem extends Error {
  /** `kind` is the WIT's word, such as `not-found`; `retryAfter` is in seconds, and is rounded up. */
  constructor(kind, message, { param, code, logDetail, retryAfter, upstreamStatus } = {}) {
    if (!KINDS.includes(kind)) throw new TypeError(`there is no kind of problem "${kind}"`);
    super(message);
    Object.assign(this, { kind, param, code, logDetail, upstreamStatus });
    // Rounded up so that nobody comes early; no more than a number holds exactly.
    if (retryAfter !== undefined) this.retryAfterMs = Math.min(Math.ceil(retryAfter * 1000), Number.MAX_SAFE_INTEGER);
  }

  /** The caller's fault; never retried. */
  static invalidRequest(message, more) {
    return new Problem("invalid-request", message, more);
  }

  /** Well-formed, but this plugin cannot do it; `param` names what. */
  static unsupported(message, more) {
    return new Problem("unsupported", message, more);
  }

  /** What was named does not exist. */
  static notFound(message, more) {
    return new Problem("not-found", message, more);
  }

  /** More than a cap allows. */
  static tooLarge(message, more) {
    return new Problem("too-large", message, more);
  }

  /** Try later, not before `retryAfter` seconds. */
  static rateLimited(message, more) {
    return new Problem("rate-limited", message, more);
  }

  /** A guard or the model's own filter refused. */
  static contentBlocked(message, more) {
    return new Problem("content-blocked", message, more);
  }

  /** The other end's fault; retried where the call is safe to repeat. */
  static unavailable(message, more) {
    return new Problem("unavailable", message, more);
  }

  /** The operator's fault: a wrong configuration, a missing grant. */
  static misconfigured(message, more) {
    return new Problem("misconfigured", message, more);
  }

  /** The plugin's own fault. */
  static internal(message, more) {
    return new Problem("internal", message, more);
  }
}
