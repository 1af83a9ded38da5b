/** Run with `npm test`. */
import assert from "node:assert/strict";
import { test } from "node:test";

// What the host answers here.
globalThis.encaje = { "host/config": { get: () => '{"words":["Urgent","refund"]}' } };
const { plugin } = await import("./plugin.js");

const message = (text) => ({ role: { tag: "user" }, content: [{ body: { tag: "text", val: text } }] });
const tags = (input) => plugin.after({ request: { input } }).tags;

test("words are found whatever their case, in messages and prompts", () => {
  assert.deepEqual(tags({ tag: "messages", val: [message("It is URGENT"), message("hello")] }), ["asks:Urgent"]);
  assert.deepEqual(tags({ tag: "prompt", val: "a refund" }), ["asks:refund"]);
});

test("what has no text has no tags", () => {
  assert.deepEqual(tags({ tag: "tokens", val: [1, 2] }), []);
});
