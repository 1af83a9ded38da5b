/** The header `Retry-After` (RFC 9110, 10.2.3): seconds or a date. */

/** A day: what an upstream says beyond that is a mistake. */
const MOST = 86_400;

/** Seconds to wait, or undefined where the header says nothing that makes sense. `nowSeconds` is UTC since 1970. */
export function retryAfter(value, nowSeconds) {
  const text = value.trim();
  if (/^[0-9]+$/.test(text)) return Math.min(Number(text), MOST);
  // A date alone: `Date.parse` would also take other things, such as a bare year.
  const at = /^[A-Z][a-z]{2,8},? /.test(text) ? Date.parse(text) / 1000 : Number.NaN;
  return Number.isNaN(at) ? undefined : Math.min(Math.max(0, at - nowSeconds), MOST);
}
