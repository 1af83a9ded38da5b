/** The provider {{name}}: answers with what was asked, word by word. */
import { finish, messages, providerPlugin, refuseBeyond, text, usage } from "encaje-sdk";
import type { ChatRequest, Provider } from "encaje-sdk";

const split = (line: string): string[] => line.match(/\S+/g) ?? [];

/** The words, one chunk each, then why it ended and what it took. */
function* answer(words: string[], read: number, most: number) {
  const given = words.slice(0, most);
  for (const [place, word] of given.entries()) yield text(place === 0 ? word : ` ${word}`);
  yield finish(given.length === words.length ? "stop" : "length");
  yield usage(read, given.length);
}

export const plugin = {
  models: () => [{ id: "{{name}}", ownedBy: "me" }],
  complete(request: ChatRequest) {
    refuseBeyond(request);
    const said = messages(request);
    const asked = said.filter(({ role }) => role === "user").at(-1)?.text ?? "";
    const read = said.reduce((sum, { text }) => sum + split(text).length, 0);
    return answer(split(asked), read, Number(request.sampling.maxTokens ?? Infinity));
  },
} satisfies Provider;

export const { lifecycle, provider } = providerPlugin(plugin);
