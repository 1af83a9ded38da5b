/** Run with `npm test`. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { plugin } from "./plugin.ts";

const sample = (output: string, references: string[]) => ({ id: "a", output, references }) as any;

test("the share of words is the score, and one bad sample does not stop the others", () => {
  const run = plugin.start("word_recall", "{}");
  const [good, bad] = run.push([sample("A red cat", ["the red CAT sat"]), sample("x", [])]);
  assert.equal(good.score.value, 0.5);
  assert.equal(bad.error.kind, "invalid-request");
  const { scores, extra } = run.finish();
  assert.deepEqual([scores[0].value, extra[1]], [0.5, ["failed", "1"]]);
});

test("what is listed can be started, and nothing else", () => {
  for (const { name } of plugin.metrics()) assert.equal(plugin.start(name, "{}").name, name);
  assert.throws(() => plugin.start("bleu", "{}"), { kind: "not-found" });
});
