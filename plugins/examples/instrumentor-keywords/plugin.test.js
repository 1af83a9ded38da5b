/** Run with `npm test`. */
import assert from "node:assert/strict";
import { test } from "node:test";

const table = { words: ["swordfish", "open sesame", "a+b", "sword"], action: "redact", replacement: "[x]" };
globalThis.encaje = { "host/config": { get: () => JSON.stringify(table) } };
const { instrumentor, lifecycle, plugin } = await import("./plugin.js");
const { Stream, Words } = await import("./words.js");

const text = (val, choice = 0, tag = "text") => ({ choice, event: { tag, val } });
const said = (val, role = "user") => ({ role: { tag: role }, content: [{ body: { tag: "text", val }, extra: [] }] });
const asked = (...texts) => ({ model: "m", input: { tag: "messages", val: texts.map((one) => said(one)) } });
const end = (tag) => ({ choice: 0, event: { tag: "finish", val: { tag } } });

function acting(action, run) {
  table.action = action;
  try {
    return run();
  } finally {
    table.action = "redact";
  }
}

/** All that comes out, as text. */
function out(chunks) {
  const filter = plugin.filter();
  const sent = [...chunks.flatMap((chunk) => filter.push([chunk])), ...filter.finish()];
  return sent.map(({ event }) => (event.tag === "finish" ? `<${event.val.tag}>` : event.val)).join("");
}

test("words are found alone, in any case, the longest first", () => {
  const words = new Words(table.words);
  for (const [before, behind] of [
    ["the SwordFish, swordfishes", "the [x], swordfishes"],
    ["Open Sesame! a+b", "[x]! [x]"],
    ["swords sword", "swords [x]"],
    ["xsword éswordfish", "xsword éswordfish"],
  ])
    assert.equal(words.replaced(before, "[x]"), behind);
});

test("however a text is cut, what comes out is the same", () => {
  const words = new Words(table.words);
  const whole = "😀swordfish swordfishx open sesame sword😀 a+b open sesam sword";
  const expected = words.replaced(whole, "[x]");
  for (let size = 1; size <= whole.length; size += 1) {
    const stream = new Stream(words, "[x]");
    let made = "";
    for (let at = 0; at < whole.length; at += size) {
      const piece = stream.push(whole.slice(at, at + size));
      made += piece;
    }
    assert.equal(made + stream.finish(), expected, `pieces of ${size}`);
  }
});

test("a request is redacted or refused, and one without a word passes", () => {
  assert.deepEqual(plugin.before(asked("hello")), { tag: "pass" });
  const { tag, val } = plugin.before(asked("hello", "say swordfish"));
  assert.deepEqual([tag, val.model, val.input.val[1].content[0].body.val], ["replace", "m", "say [x]"]);
  const refused = acting("block", () => instrumentor.before(asked("hello", "say swordfish")));
  assert.deepEqual(
    [refused.tag, refused.val.kind.tag, refused.val.param],
    ["reject", "content-blocked", "messages[1]"],
  );
  assert.throws(() => plugin.before({ input: { tag: "tokens", val: [1] } }), { kind: "unsupported" });
});

test("an answer is redacted across chunks, and blocked where the word begins", () => {
  const chunks = [text("say sword"), text("fish now"), end("stop")];
  assert.equal(out(chunks), "say [x] now<stop>");
  assert.equal(
    acting("block", () => out(chunks)),
    "say <content-filter>",
  );
});

test("other events stay behind the text before them, and probabilities are dropped", () => {
  const usage = { choice: 0, event: { tag: "usage", val: "#" } };
  const logprobs = { choice: 0, event: { tag: "logprobs", val: "sword" } };
  assert.equal(
    out([text("think", 0, "reasoning"), text("say"), logprobs, text(" it"), end("stop"), usage]),
    "thinksay it<stop>#",
  );
  assert.equal(out([text("one", 0), text("two", 1), usage]), "onetwo#");
});

test("flagging tags the call and uses no filter", () => {
  const exchange = { request: asked("swordfish"), chunks: [text("open sesame"), end("stop")] };
  assert.deepEqual(plugin.after(exchange).attributes, [["keywords.matches", { tag: "integer", val: 2 }]]);
  assert.deepEqual(
    acting("flag", () => lifecycle.check()),
    ["after"],
  );
  assert.deepEqual(lifecycle.check(), ["before", "filter"]);
});
