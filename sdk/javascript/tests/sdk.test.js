/** The SDK from a plugin's side and from the host's, with plain objects for what crosses. */
import assert from "node:assert/strict";
import { test } from "node:test";

import {
  Problem,
  Run,
  Tally,
  count,
  evaluatorPlugin,
  events,
  finish,
  instrumentorPlugin,
  messages,
  parameters,
  providerPlugin,
  retryAfterMs,
  text,
  usage,
  word,
} from "encaje-sdk";

// What the host answers here.
globalThis.encaje = { "host/config": { get: () => '{"a":1}' } };
const { config } = await import("encaje-sdk/host");

/** What a call throws. */
function thrown(call) {
  try {
    call();
  } catch (error) {
    return error;
  }
  return assert.fail("nothing was thrown");
}

test("whatever a plugin throws leaves as a typed problem", () => {
  const failing = (error) =>
    evaluatorPlugin({
      metrics: () => {
        throw error;
      },
    }).evaluator;
  const typed = thrown(failing(Problem.rateLimited("slow down", { retryAfter: 1.0001 })).metrics);
  assert.deepEqual(
    [typed.kind, typed.message, typed.retryAfterMs, typed.extra],
    [{ tag: "rate-limited" }, "slow down", 1001, []],
  );
  for (const error of [new TypeError("boom"), "text", undefined, null]) {
    const problem = thrown(failing(error).metrics);
    assert.deepEqual([problem.kind.tag, problem.message], ["internal", "the plugin failed"]);
    assert.ok(problem.logDetail.includes(error instanceof Error ? "boom" : String(error)));
  }
  const ours = { kind: { tag: "denied" }, message: "not granted", extra: [] };
  assert.equal(thrown(failing(ours).metrics), ours, "what the host said stays as it came");
  assert.equal(thrown(() => failing().metrics.call()).kind.tag, "internal");
  assert.throws(() => new Problem("bad", "x"), TypeError);
});

test("a promise is refused, since the host would wait for ever", () => {
  const { evaluator } = evaluatorPlugin({ metrics: async () => [] });
  assert.equal(thrown(evaluator.metrics).kind.tag, "internal");
});

test("a run tells scores, problems and the corpus", () => {
  class Half extends Run {
    judge({ output }) {
      if (output === "bad") throw Problem.unsupported("no", { param: "output" });
      return { value: output === "nan" ? Number.NaN : output.length / 2 };
    }
  }
  const { evaluator } = evaluatorPlugin({ metrics: () => [], start: () => new Half("half", { spread: true }) });
  const run = evaluator.start("half", "{}");
  const sent = run.push(["a", "abc", "bad", "nan"].map((output) => ({ id: output, output })));
  assert.deepEqual(
    sent.map(({ outcome }) => outcome.val.value ?? outcome.val.kind.tag),
    [0.5, 1.5, "unsupported", "internal"],
  );
  const { scores, extra } = run.finish();
  assert.deepEqual(
    scores.map(({ name, value }) => [name, value]),
    [
      ["half", 1],
      ["half_stddev", 0.5],
    ],
  );
  assert.deepEqual(extra, [
    ["judged", "2"],
    ["failed", "2"],
  ]);
  assert.equal(evaluator.start("half", "").finish().scores[0].value, null);
});

test("an answer is asked chunk by chunk, ends once, and a failure in it is typed", () => {
  const { provider, lifecycle } = providerPlugin({
    *complete({ model }) {
      yield text("hi");
      if (model === "broken") throw new Error("boom");
      yield finish();
      yield usage(1, 2);
    },
  });
  const answer = provider.complete({ model: "good" });
  const tags = [answer.next(), answer.next(), answer.next()].map(([{ event }]) => event.tag);
  assert.deepEqual([tags, answer.next()], [["text", "finish", "usage"], null]);
  const broken = provider.complete({ model: "broken" });
  broken.next();
  assert.equal(thrown(() => broken.next()).kind.tag, "internal");
  assert.equal(thrown(() => provider.embed({})).kind.tag, "unsupported");
  assert.deepEqual(lifecycle.check(), ["chat"]);
  const media = { tag: "messages", val: [{ role: { tag: "user" }, content: [{ body: { tag: "media", val: {} } }] }] };
  assert.throws(() => messages({ input: media }), { kind: "unsupported", param: "messages[0].content" });
});

test("an instrumentor offers what it has, and a refusal is a decision", () => {
  const { instrumentor, lifecycle } = instrumentorPlugin({
    before: () => {
      throw Problem.contentBlocked("no");
    },
  });
  assert.deepEqual(lifecycle.check(), ["before"]);
  assert.equal(instrumentor.before({}).val.kind.tag, "content-blocked");
  assert.equal(thrown(() => instrumentor.after({})).kind.tag, "unsupported");
});

test("parameters are checked at the edge", () => {
  assert.deepEqual(parameters(" ", []), {});
  for (const bad of ["[]", "null", "{", '{"other":1}']) {
    assert.throws(() => parameters(bad, ["known"]), { kind: "invalid-request", param: "params" });
  }
  assert.equal(count({ n: 3 }, "n"), 3);
  for (const n of [-1, 1.5, "1", true]) assert.throws(() => count({ n }, "n"), { param: "params.n" });
  assert.equal(word({}, "w", ["a", "b"], "b"), "b");
  assert.throws(() => word({ w: null }, "w", ["a"], "a"), { kind: "invalid-request" });
});

test("events and waits are read as their specifications say", () => {
  const lines = ["event: a", "data: 1", "data:2", "", ": comment", "", "data", "", "data: cut"];
  assert.deepEqual(
    [...events(lines)],
    [
      { event: "a", data: "1\n2" },
      { event: "message", data: "" },
    ],
  );
  assert.throws(() => [...events(["data: 12345", "data: 12345"], 20)], Problem);
  // The same cases as the other languages' SDKs have.
  for (const [value, fine, now, wait] of [
    [" 120 ", "", 0, 120_000],
    ["1.5", "", 0, 1_500],
    ["0.0001", "", 0, 1],
    ["9", "2.5", 0, 3],
    ["", "7", 0n, 7],
    ["9".repeat(13), "", 0, undefined],
    ["Thu, 01 Jan 1970 00:01:00 GMT", "", 20_000_000n, 40_000],
    ["Thu, 01 Jan 1970 00:00:00 GMT", "", 20_000_000, 0],
    ["soon", "", 0, undefined],
    ["-5", "", 0, undefined],
    ["1.", "", 0, undefined],
    ["", "", 0, undefined],
    ["1 2020", "", 0, undefined],
  ]) {
    const headers = [
      ["Retry-After", value],
      ["RETRY-AFTER-MS", fine],
    ];
    assert.equal(retryAfterMs(headers, now), wait, `${value} ${fine}`);
  }
});

test("the spread is that of these samples", () => {
  const tally = new Tally();
  [1, 2, 3, 4, undefined].forEach((value) => tally.add(value));
  assert.deepEqual([tally.mean, tally.deviation(), tally.failed], [2.5, Math.sqrt(1.25), 1]);
});

test("a test says what the host answers", () => {
  assert.deepEqual(config(), { a: 1 });
});
