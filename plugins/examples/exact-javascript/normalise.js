/** Makes texts comparable as SQuAD's script does (Rajpurkar et al. 2016). The steps' order is fixed; no Unicode normal form. */

export const STEPS = ["case", "punctuation", "articles", "whitespace"];

const PUNCTUATION = /[!-/:-@[-`{-~]/g;
const WORD = /[\p{Alphabetic}\p{N}_]+/gu;
// White space as Unicode's property has it, which `\s` is not quite.
const SPACE = /[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/;

/** The pieces between white space. */
export const words = (text) => text.split(SPACE).filter((word) => word !== "");

/** The text after these steps. */
export function normalise(text, steps) {
  let made = steps.includes("case") ? text.toLowerCase() : text;
  if (steps.includes("punctuation")) made = made.replace(PUNCTUATION, "");
  if (steps.includes("articles")) made = made.replace(WORD, (word) => (/^(a|an|the)$/i.test(word) ? " " : word));
  return steps.includes("whitespace") ? words(made).join(" ") : made;
}
