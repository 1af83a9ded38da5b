/** The evaluator `exact`, in JavaScript: lists its metrics and starts runs of them. */
import { Problem, evaluatorPlugin } from "encaje-sdk";

import { Compared, Length, exact, tokenF1 } from "./metrics.js";

const NORMALISING =
  '{"type":"object","additionalProperties":false,"properties":{"normalise":{"description":"What is evened out before ' +
  'texts are compared; absent is all of it","type":"array","uniqueItems":true,"items":{"enum":["case","punctuation",' +
  '"articles","whitespace"]}}}}';
const LENGTH =
  '{"type":"object","additionalProperties":false,"properties":{"unit":{"enum":["characters","words","bytes"],"default":' +
  '"characters"},"min":{"description":"The score is 1 from here on, else 0","type":"integer","minimum":0},"max":' +
  '{"description":"The score is 1 up to here, else 0","type":"integer","minimum":0}}}';

const METRICS = [
  {
    name: "exact_match",
    description:
      "1 where the output equals one of the references after normalisation, else 0 (SQuAD; Rajpurkar et al. 2016)",
    lowest: 0,
    highest: 1,
    needs: ["references"],
    params: NORMALISING,
  },
  {
    name: "token_f1",
    description:
      "Harmonic mean of precision and recall over bags of normalised tokens, the best of the references (SQuAD; " +
      "Rajpurkar et al. 2016)",
    lowest: 0,
    highest: 1,
    needs: ["references"],
    params: NORMALISING,
  },
  {
    name: "length",
    description: "The output's length; with `min` or `max` 1 where it lies between them (both included), else 0",
    lowest: 0,
    params: LENGTH,
  },
];

const RUNS = {
  exact_match: (params) => new Compared("exact_match", exact, params),
  token_f1: (params) => new Compared("token_f1", tokenF1, params),
  length: (params) => new Length(params),
};

export const exactPlugin = {
  metrics: () => METRICS,
  start(metric, params) {
    if (Object.hasOwn(RUNS, metric)) return RUNS[metric](params);
    const message = `there is no metric \`${metric}\`; there are \`exact_match\`, \`token_f1\` and \`length\``;
    throw Problem.notFound(message, { param: "metric" });
  },
};

export const { lifecycle, evaluator } = evaluatorPlugin(exactPlugin);
