/**
 * Providers: `export const { lifecycle, provider } = providerPlugin({ models, complete })` in the entry module. An answer
 * is an iterator of chunks; a generator is the simplest one.
 */
import { guarded, lifecycle } from "./guard.js";
import { Problem } from "./problem.js";

/** Whole characters of the answer. */
export const text = (words, choice = 0) => ({ choice, event: { tag: "text", val: words } });

/** Once a choice, after all else that it says: `stop`, `length`, `tool-calls`, `content-filter`. */
export const finish = (reason = "stop", choice = 0) => ({ choice, event: { tag: "finish", val: { tag: reason } } });

/** Once an answer, after the last text. */
export function usage(inputTokens, outputTokens) {
  const counts = { cachedInputTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0, extra: [] };
  return { choice: 0, event: { tag: "usage", val: { inputTokens, outputTokens, ...counts } } };
}

/** The request's conversation as `{ role, text }`, oldest first; `unsupported` for other inputs and for media. */
export function messages(request) {
  const { tag, val } = request.input;
  if (tag === "prompt") return [{ role: "user", text: val }];
  if (tag !== "messages") throw Problem.unsupported("this provider reads no token ids: send text", { param: "input" });
  return val.map((message, place) => ({ role: message.role.tag, text: message.content.map(words(place)).join("") }));
}

const words =
  (place) =>
  ({ body }) => {
    if (["text", "reasoning", "refusal"].includes(body.tag)) return body.val;
    const param = `messages[${place}].content`;
    throw Problem.unsupported(`this provider reads text alone, and \`${param}\` has \`${body.tag}\``, { param });
  };

/** What a request may ask for beyond its messages, by the wire's names. */
const WISHES = {
  tools: ({ tools }) => (tools ?? []).length > 0,
  tool_choice: ({ toolChoice }) => toolChoice != null,
  n: ({ sampling }) => (sampling?.choices ?? 1) !== 1,
  stop: ({ sampling }) => (sampling?.stop ?? []).length > 0,
  logprobs: ({ sampling }) => sampling?.logprobs != null,
  logit_bias: ({ sampling }) => (sampling?.logitBias ?? []).length > 0,
  response_format: ({ responseFormat }) => (responseFormat?.tag ?? "text") !== "text",
  reasoning_effort: ({ reasoningEffort }) => reasoningEffort != null,
};

/** `unsupported`, by name, for what a request asks for and the provider cannot do; `supported` is what it can. */
export function refuseBeyond(request, supported = []) {
  const asked = Object.keys(WISHES).filter((name) => WISHES[name](request));
  const more = (request.extra ?? []).map(([name]) => name);
  const param = [...asked, ...more].find((name) => !supported.includes(name));
  if (param !== undefined) throw Problem.unsupported(`this provider does not know \`${param}\``, { param });
}

/** What the entry module must export for `{ models(), complete(request), embed?, rerank?, countTokens?, check? }`. */
export function providerPlugin(plugin) {
  class Completion {
    constructor(chunks) {
      this.chunks = chunks;
    }
  }
  Completion.prototype.next = guarded(function () {
    const { done, value } = this.chunks.next();
    return done ? null : [value];
  });
  const or = (name, what) =>
    guarded((request) => {
      if (plugin[name] === undefined) throw Problem.unsupported(`this provider does not ${what}`);
      return plugin[name](request);
    });
  const provider = {
    Completion,
    models: guarded(() => (plugin.models?.() ?? []).map(info)),
    complete: guarded((request) => {
      if (plugin.complete === undefined) throw Problem.unsupported("this provider does not chat");
      return new Completion(plugin.complete(request)[Symbol.iterator]());
    }),
    embed: or("embed", "embed"),
    rerank: or("rerank", "rank"),
    countTokens: or("countTokens", "count tokens"),
  };
  return { lifecycle: lifecycle(plugin, ["chat"]), provider };
}

function info(model) {
  return {
    ownedBy: "",
    created: null,
    contextTokens: null,
    maxOutputTokens: null,
    capabilities: ["chat"],
    extra: [],
    ...model,
  };
}
