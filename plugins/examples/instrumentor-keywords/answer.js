/** A streamed answer: each choice's text through a `Stream`, everything else in its place behind the text before it. */
import { finish } from "encaje-sdk";

import { Stream } from "./words.js";

const TEXTS = ["text", "reasoning", "refusal"];

/** What the host pushes chunks into. */
export class Answer {
  #choices = new Map();

  constructor(words, replacement) {
    this.words = words;
    this.replacement = replacement;
  }

  push(chunks) {
    return chunks.flatMap((chunk) => this.#next(chunk));
  }

  finish() {
    return this.#flushed([...this.#choices.keys()]);
  }

  #next({ choice, event }) {
    const state = this.#choices.get(choice);
    // Counts of tokens belong to no choice, and come after the last text of all.
    if (event.tag === "usage") return [...this.finish(), { choice, event }];
    if (state?.stopped) return [];
    // They would tell what was replaced.
    if (event.tag === "logprobs") return [];
    if (!TEXTS.includes(event.tag)) return [...this.#flushed([choice]), ...this.#unless(choice, { choice, event })];
    const turned = state?.kind !== undefined && state.kind !== event.tag ? this.#flushed([choice]) : [];
    if (this.#choices.get(choice)?.stopped) return turned;
    if (this.#choices.get(choice)?.kind !== event.tag) {
      this.#choices.set(choice, { kind: event.tag, stream: new Stream(this.words, this.replacement), stopped: false });
    }
    const said = this.#choices.get(choice).stream.push(event.val);
    return [...turned, ...this.#said(choice, said)];
  }

  /** The chunk, unless its choice has been ended here. */
  #unless(choice, chunk) {
    return this.#choices.get(choice)?.stopped ? [] : [chunk];
  }

  #flushed(choices) {
    return choices.flatMap((choice) => {
      const state = this.#choices.get(choice);
      if (state === undefined || state.stopped) return [];
      const said = this.#said(choice, state.stream.finish());
      if (!state.stopped) this.#choices.delete(choice);
      return said;
    });
  }

  #said(choice, val) {
    const state = this.#choices.get(choice);
    const chunks = val === "" ? [] : [{ choice, event: { tag: state.kind, val } }];
    if (!state.stream.stopped) return chunks;
    state.stopped = true;
    return [...chunks, finish("content-filter", choice)];
  }
}
