/** Server-sent events from lines (WHATWG HTML, 9.2.6), without a connection: the caller has the lines. */

import { Problem } from "./problem.js";

/** UTF-16 units of one event: an answer's longest piece, and nothing that fills a guest's memory. */
const MOST = 16 << 20;

/**
 * `{ event, data }` of lines without their ends; a comment is dropped, and so is an event cut off by the end.
 * An event of more than `most` units is a `Problem`, `unavailable`: nothing after it can be read.
 */
export function* events(lines, most = MOST) {
  let event = "";
  let data = [];
  let size = 0;
  for (const line of lines) {
    if (line === "") {
      if (data.length > 0) yield { event: event || "message", data: data.join("\n") };
      event = "";
      data = [];
      size = 0;
      continue;
    }
    size += line.length;
    if (size > most) throw Problem.unavailable(`the upstream sent an event of more than ${most} units`);
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") event = value;
    else if (name === "data") data.push(value);
  }
}
