/** Evaluators: `export const { lifecycle, evaluator } = evaluatorPlugin({ metrics, start })` in the entry module. */
import { guarded, lifecycle, record } from "./guard.js";
import { Problem } from "./problem.js";
import { Tally } from "./tally.js";

/** One evaluation. Most runs write `judge` alone. */
export class Run {
  #tally = new Tally();

  /** `name` is the metric's, `spread` whether the corpus score tells the spread beside the mean. */
  constructor(name, { spread = false } = {}) {
    this.name = name;
    this.spread = spread;
  }

  /** The score of one sample: `{ value, label, explanation }`. A `Problem` thrown here concerns this sample alone. */
  judge() {
    throw Problem.internal("this run judges nothing");
  }

  /** One score or exception for each sample, in order. */
  push(samples) {
    return samples.map((sample) => {
      let outcome;
      try {
        outcome = { score: this.judge(sample) };
        if (typeof outcome.score !== "object") throw Problem.internal(`\`${this.name}\` gave no score`);
        if (outcome.score.value !== undefined && !Number.isFinite(outcome.score.value)) {
          throw Problem.internal(`\`${this.name}\` gave a score that is no finite number`);
        }
      } catch (error) {
        outcome = { error };
      }
      this.#tally.add(outcome.score?.value);
      return outcome;
    });
  }

  /** The scores of everything that was pushed, and what else is known. */
  finish() {
    const { judged, failed, mean } = this.#tally;
    const extra = [
      ["judged", String(judged)],
      ["failed", String(failed)],
    ];
    if (judged === 0) return { scores: [{ name: this.name, explanation: "no sample could be judged" }], extra };
    const scores = [{ name: this.name, value: mean, explanation: `mean of ${judged} samples` }];
    if (this.spread) {
      const explanation = `standard deviation of ${judged} samples`;
      scores.push({ name: `${this.name}_stddev`, value: this.#tally.deviation(), explanation });
    }
    return { scores, extra };
  }
}

/** What the entry module must export for `{ metrics(), start(metric, params), check()? }`. */
export function evaluatorPlugin(plugin) {
  class Exported {
    constructor(run) {
      this.run = run;
    }
  }
  Exported.prototype.push = guarded(function (samples) {
    return this.run.push(samples).map((outcome, place) => ({
      id: samples[place].id,
      outcome:
        outcome.error === undefined
          ? { tag: "ok", val: whole(outcome.score, this.run.name) }
          : { tag: "err", val: record(outcome.error) },
    }));
  });
  Exported.prototype.finish = guarded(function () {
    const { scores, extra = [] } = this.run.finish();
    return { scores: scores.map((score) => whole(score, this.run.name)), usage: null, extra };
  });
  const evaluator = {
    Run: Exported,
    metrics: guarded(() => plugin.metrics().map(info)),
    start: guarded((metric, params) => new Exported(plugin.start(metric, params))),
  };
  return { lifecycle: lifecycle(plugin, ["evaluate"]), evaluator };
}

const NO_PARAMETERS = '{"type":"object","additionalProperties":false}';

function info(metric) {
  return {
    lowest: null,
    highest: null,
    higherIsBetter: true,
    needs: [],
    deterministic: true,
    params: NO_PARAMETERS,
    ...metric,
  };
}

function whole(score, name) {
  return {
    name: score.name ?? name,
    value: score.value ?? null,
    label: score.label ?? null,
    explanation: score.explanation ?? null,
    extra: score.extra ?? [],
  };
}
