/** Run with `npm test`. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { plugin } from "./plugin.js";

/** A conversation of the user's. */
function request(texts, more = {}) {
  const val = texts.map((text) => ({ role: { tag: "user" }, content: [{ body: { tag: "text", val: text } }] }));
  const { tools = [], choices = 1, maxTokens = null } = more;
  return { input: { tag: "messages", val }, tools, sampling: { choices, maxTokens } };
}

const events = (asked) => [...plugin.complete(asked)].map(({ event }) => event);

test("the last message comes back with its end and its usage", () => {
  const said = events(request(["first", "hello big world"]));
  const [finish, usage] = said.splice(-2);
  assert.equal(said.map(({ val }) => val).join(""), "hello big world");
  assert.equal(finish.val.tag, "stop");
  assert.deepEqual([usage.val.inputTokens, usage.val.outputTokens], [4, 3]);
});

test("an answer ends at max_tokens and says so", () => {
  const said = events(request(["a b c"], { maxTokens: 2 }));
  assert.deepEqual(
    said.slice(0, 2).map(({ val }) => val),
    ["a", " b"],
  );
  assert.equal(said[2].val.tag, "length");
});

test("what it cannot do is refused before it starts", () => {
  for (const [more, param] of [
    [{ tools: [{}] }, "tools"],
    [{ choices: 2 }, "n"],
  ]) {
    assert.throws(() => plugin.complete(request(["a"], more)), { kind: "unsupported", param });
  }
});
