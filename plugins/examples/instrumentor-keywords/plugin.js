/** An instrumentor that blocks, redacts or flags words in what is asked and what is answered. */
import { Problem, instrumentorPlugin } from "encaje-sdk";
import { config } from "encaje-sdk/host";

import { Answer } from "./answer.js";
import { Words } from "./words.js";

const TEXTS = ["text", "reasoning", "refusal"];

function settings() {
  const { words, action, replacement } = config();
  return { words: new Words(words), action, replacement };
}

/** The input with `change(text, param)` in the place of each text. */
function mapped({ tag, val }, change) {
  if (tag === "prompt") return { tag, val: change(val, "prompt") };
  if (tag !== "messages") {
    throw Problem.unsupported("this guard reads no token ids: send text", { param: "input" });
  }
  const part = (place) => (part) => {
    if (!TEXTS.includes(part.body.tag)) return part;
    return { ...part, body: { tag: part.body.tag, val: change(part.body.val, `messages[${place}]`) } };
  };
  return { tag, val: val.map((message, place) => ({ ...message, content: message.content.map(part(place)) })) };
}

function before(request) {
  const { words, action, replacement } = settings();
  let matches = 0;
  const input = mapped(request.input, (text, param) => {
    const found = words.count(text);
    matches += found;
    if (found > 0 && action === "block") {
      const message = `\`${param}\` has a word that is not allowed here`;
      throw Problem.contentBlocked(message, { code: "keyword_blocked", param });
    }
    return found > 0 ? words.replaced(text, replacement) : text;
  });
  return matches === 0 ? { tag: "pass" } : { tag: "replace", val: { ...request, input } };
}

function filter() {
  const { words, action, replacement } = settings();
  return new Answer(words, action === "redact" ? replacement : undefined);
}

function after({ request, chunks }) {
  const { words } = settings();
  let matches = 0;
  const counted = (text) => {
    matches += words.count(text);
    return text;
  };
  if (request.input.tag !== "tokens") mapped(request.input, counted);
  chunks.filter(({ event }) => TEXTS.includes(event.tag)).forEach(({ event }) => counted(event.val));
  const attributes = [["keywords.matches", { tag: "integer", val: matches }]];
  return { attributes, tags: matches > 0 ? ["keywords:flag"] : [] };
}

/** The hooks that the action needs: an answer that is only flagged need not wait for a filter. */
const check = () => (settings().action === "flag" ? ["after"] : ["before", "filter"]);

export const plugin = { check, before, filter, after };

export const { lifecycle, instrumentor } = instrumentorPlugin(plugin);
