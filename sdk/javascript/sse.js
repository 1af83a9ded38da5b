/** Server-sent events from lines (WHATWG HTML, 9.2.6), without a connection: the caller has the lines. */

/** `{ event, data }` of lines without their ends; a comment is dropped, and so is an event cut off by the end. */
export function* events(lines) {
  let event = "";
  let data = [];
  for (const line of lines) {
    if (line === "") {
      if (data.length > 0) yield { event: event || "message", data: data.join("\n") };
      event = "";
      data = [];
      continue;
    }
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") event = value;
    else if (name === "data") data.push(value);
  }
}
