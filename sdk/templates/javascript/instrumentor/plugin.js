/** The instrumentor {{name}}: tags calls by the words that are asked for. It changes nothing. */
import { instrumentorPlugin } from "encaje-sdk";
import { config } from "encaje-sdk/host";

/** The text of a request's input; token ids have none. */
function asked({ tag, val }) {
  if (tag === "prompt") return val;
  if (tag !== "messages") return "";
  const pieces = val.flatMap(({ content }) => content.map(({ body }) => (body.tag === "text" ? body.val : "")));
  return pieces.join("\n");
}

export const plugin = {
  before: () => ({ tag: "pass" }),
  after({ request }) {
    const text = asked(request.input).toLowerCase();
    const found = config().words.filter((word) => text.includes(word.toLowerCase()));
    return { tags: found.map((word) => `asks:${word}`) };
  },
};

export const { lifecycle, instrumentor } = instrumentorPlugin(plugin);
