/** Finds words and phrases in a text, and in one that comes in pieces. Knows nothing of requests and answers. */

const IN_WORD = "[\\p{L}\\p{N}\\p{M}_]";

/** The pattern of all words, the longest first, so that of two at one place the longer is found. */
export class Words {
  constructor(words) {
    const longestFirst = [...words].sort((left, right) => right.length - left.length);
    const any = longestFirst.map((word) => word.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")).join("|");
    this.pattern = new RegExp(`(?<!${IN_WORD})(?:${any})(?!${IN_WORD})`, "giu");
    this.longest = longestFirst[0].length;
  }

  /** How often one occurs. */
  count(text) {
    return [...text.matchAll(this.pattern)].length;
  }

  /** The text with each replaced. */
  replaced(text, replacement) {
    return text.replace(this.pattern, () => replacement);
  }
}

/**
 * A text in pieces: however it is cut, the same comes out as of the whole. It holds back as much as the longest word has,
 * and the character behind it, which decides whether a word stands alone.
 */
export class Stream {
  #before = "";
  #held = "";

  /** `replacement` stands for each word; without one the text ends at the first, and `stopped` is true. */
  constructor(words, replacement) {
    this.words = words;
    this.replacement = replacement;
    this.stopped = false;
  }

  /** What may be said after this piece. */
  push(piece) {
    this.#held += piece;
    return this.#decided(this.#held.length - this.words.longest - 1);
  }

  /** The rest. */
  finish() {
    return this.#decided(this.#held.length);
  }

  /** What begins before `limit` in what is held. */
  #decided(limit) {
    let said = "";
    let done = 0;
    const text = this.#before + this.#held;
    const shift = this.#before.length;
    this.words.pattern.lastIndex = shift;
    for (let found; !this.stopped && (found = this.words.pattern.exec(text)) !== null;) {
      const start = found.index - shift;
      if (start >= limit) break;
      said += this.#held.slice(done, start) + (this.replacement ?? "");
      done = start + found[0].length;
      this.stopped = this.replacement === undefined;
    }
    let cut = Math.max(done, limit);
    // Whole characters: not between the halves of a surrogate pair.
    if (cut > done && cut < this.#held.length && /[\uD800-\uDBFF]/.test(this.#held[cut - 1])) cut -= 1;
    if (!this.stopped) said += this.#held.slice(done, cut);
    this.#before = (this.#before + this.#held.slice(0, cut)).slice(-2);
    this.#held = this.stopped ? "" : this.#held.slice(cut);
    return said;
  }
}
