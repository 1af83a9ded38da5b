/** Run with `npm test`: the same figures as evaluator-exact's own tests. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { STEPS, normalise } from "./normalise.js";
import { exactPlugin as plugin } from "./plugin.js";

const sample = (output, references = []) => ({ id: "a", output, references });
const value = (metric, params, output, ...references) =>
  plugin.start(metric, params).push([sample(output, references)])[0].score.value;

test("all steps are SQuAD's", () => {
  for (const [text, normal] of [
    ["The  Eiffel-Tower, a tower!", "eiffeltower tower"],
    ["An\tapple\n", "apple"],
    ["«The» anthem", "« » anthem"],
    ["ÉCOLE the_end", "école theend"],
    ["a an the", ""],
    ["theatre of a.n", "theatre of"],
  ])
    assert.equal(normalise(text, STEPS), normal, text);
});

test("each step can stand alone", () => {
  const text = " The  cat, A. ";
  assert.equal(normalise(text, []), text);
  assert.equal(normalise(text, ["case"]), " the  cat, a. ");
  assert.equal(normalise(text, ["punctuation"]), " The  cat A ");
  assert.equal(normalise(text, ["articles"]), "    cat,  . ");
  assert.equal(normalise(text, ["whitespace"]), "The cat, A.");
});

test("values", () => {
  for (const [expected, ...given] of [
    [1, "exact_match", "", "The cat.", "dog", "cat"],
    [0, "exact_match", "{}", "The cat", "cats"],
    [0, "exact_match", '{"normalise":[]}', "Cat", "cat"],
    [4 / 7, "token_f1", "", "the red big cat", "big cat on mat"],
    [4 / 6, "token_f1", "", "x x y", "x y y"],
    [1, "token_f1", "", "the", "a"],
    [0, "token_f1", "", "", "word"],
    [4, "length", "", "né e"],
    [5, "length", '{"unit":"bytes"}', "né e"],
    [1, "length", "", "😀"],
    [2, "length", '{"unit":"words"}', "né e"],
    [0, "length", '{"unit":"words","min":2,"max":3}', "a"],
    [1, "length", '{"unit":"words","min":2,"max":3}', "a b c"],
  ])
    assert.equal(value(...given), expected, given);
});

test("one sample that cannot be judged does not stop the others", () => {
  const huge = "x".repeat((1 << 20) + 1);
  const run = plugin.start("token_f1", "{}");
  const [good, bare, ...rest] = run.push([
    sample("x", ["x"]),
    sample("x"),
    sample(huge, ["x"]),
    sample("x", ["y", huge]),
    sample("x", Array(257).fill("x")),
  ]);
  assert.deepEqual(good.score, { value: 1, explanation: "by references[0]" });
  assert.deepEqual([bare.error.kind, bare.error.code], ["invalid-request", "references_missing"]);
  assert.deepEqual(
    rest.map(({ error }) => error.param),
    ["output", "references[1]", "references"],
  );
  run.push([sample("x", ["y"])]);
  const { scores, extra } = run.finish();
  assert.deepEqual(
    scores.map(({ name, value }) => [name, value]),
    [
      ["token_f1", 0.5],
      ["token_f1_stddev", 0.5],
    ],
  );
  assert.deepEqual(extra, [
    ["judged", "2"],
    ["failed", "4"],
  ]);
});

test("wrong names and parameters are told", () => {
  assert.throws(() => plugin.start("bleu", "{}"), { kind: "not-found" });
  for (const [metric, params] of [
    ["exact_match", '{"normalise":["accents"]}'],
    ["token_f1", '{"case":true}'],
    ["length", '{"min":3,"max":2}'],
    ["length", '{"unit":"tokens"}'],
    ["length", '{"min":-1}'],
    ["length", "[]x"],
    ["length", '{"min":true}'],
  ])
    assert.throws(() => plugin.start(metric, params), { kind: "invalid-request", param: /^params/ }, params);
});
