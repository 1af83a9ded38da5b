/** The evaluator {{name}}: what share of the first reference's words the output has. */
import { Problem, Run, evaluatorPlugin, parameters } from "encaje-sdk";
import type { Evaluator, Sample, Score } from "encaje-sdk";

const words = (text: string) => new Set(text.toLowerCase().match(/\S+/g) ?? []);

/** One evaluation. */
class WordRecall extends Run {
  constructor() {
    super("word_recall", { spread: true });
  }

  judge(sample: Sample): Score {
    if (sample.references.length === 0) {
      throw Problem.invalidRequest("`word_recall` needs a reference", { param: "references" });
    }
    const [wanted, said] = [words(sample.references[0] ?? ""), words(sample.output)];
    const found = [...wanted].filter((word) => said.has(word));
    return { value: wanted.size === 0 ? 1 : found.length / wanted.size };
  }
}

export const plugin: Evaluator = {
  metrics: () => [
    {
      name: "word_recall",
      description: "Share of the different words of the first reference that the output has",
      lowest: 0,
      highest: 1,
      needs: ["references"],
    },
  ],
  start(metric: string, params: string) {
    if (metric === "word_recall") {
      parameters(params, []);
      return new WordRecall();
    }
    throw Problem.notFound(`there is no metric "${metric}"; there is \`word_recall\``, { param: "metric" });
  },
};

export const { lifecycle, evaluator } = evaluatorPlugin(plugin);
