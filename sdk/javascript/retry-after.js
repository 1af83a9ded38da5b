/** How long an upstream asks to be left alone: `retry-after` (RFC 9110: seconds or a date) and `retry-after-ms`. */

/** More digits than this are centuries. */
const NUMBER = /^([0-9]{1,12})(?:\.([0-9]{1,12}))?$/;

/** A number times `scale`, rounded up, so that nobody comes early. */
function decimal(text, scale) {
  const found = NUMBER.exec(text);
  if (found === null) return undefined;
  const fraction = found[2] ?? "0";
  const unit = 10n ** BigInt(fraction.length);
  const parts = (BigInt(found[1]) * unit + BigInt(fraction)) * BigInt(scale);
  return Number((parts + unit - 1n) / unit);
}

/**
 * Milliseconds to wait, from the headers of an answer as pairs, or undefined where they say nothing that makes sense.
 * `retry-after-ms` is the finer one and wins; `nowUs` is microseconds of UTC since 1970, for dates; a date that is past is
 * 0. A `Problem` takes seconds: `retryAfter: wait / 1000`.
 */
export function retryAfterMs(headers, nowUs) {
  const said = (name) => (headers.find(([own]) => own.toLowerCase() === name)?.[1] ?? "").trim();
  const text = said("retry-after");
  const wait = decimal(said("retry-after-ms"), 1) ?? decimal(text, 1000);
  if (wait !== undefined) return wait;
  // A date alone: `Date.parse` would also take other things, such as a bare year.
  const at = /^[A-Z][a-z]{2,8},? /.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(at) ? undefined : Math.max(0, at - Math.floor(Number(nowUs) / 1000));
}
