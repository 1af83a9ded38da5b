/** Exact match, token F1 and length: parameters, and the value of one output. Exactly what evaluator-exact computes. */
import { Problem, Run, count, parameters, word } from "encaje-sdk";

import { STEPS, normalise, words } from "./normalise.js";

// The same limits as evaluator-exact has, for the same reasons: see its limits.rs.
const MAX_TEXT_BYTES = 1 << 20;
const MAX_REFERENCES = 256;
const MAX_REFERENCE_BYTES = 4 << 20;

/** Unicode scalar values, without making an array of them. */
function characters(text) {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/** Bytes of UTF-8. */
function size(text) {
  let bytes = 0;
  for (const character of text) {
    const code = character.codePointAt(0);
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return bytes;
}

const tooLong = (param) =>
  Problem.tooLarge(`\`${param}\` has more than ${MAX_TEXT_BYTES} bytes; shorten it`, { param });

/** Throws why a sample cannot be judged. */
function check(name, sample, needsReferences) {
  if (size(sample.output) > MAX_TEXT_BYTES) throw tooLong("output");
  if (!needsReferences) return;
  const { references } = sample;
  const param = "references";
  if (references.length === 0) {
    const message = `\`${name}\` needs at least one reference`;
    throw Problem.invalidRequest(message, { code: "references_missing", param });
  }
  if (references.length > MAX_REFERENCES) {
    throw Problem.tooLarge(`a sample has at most ${MAX_REFERENCES} references`, { param });
  }
  const sizes = references.map(size);
  const long = sizes.findIndex((length) => length > MAX_TEXT_BYTES);
  if (long >= 0) throw tooLong(`references[${long}]`);
  if (sizes.reduce((sum, length) => sum + length, 0) > MAX_REFERENCE_BYTES) {
    const message = `the references of a sample have at most ${MAX_REFERENCE_BYTES} bytes together`;
    throw Problem.tooLarge(message, { param });
  }
}

/** A metric that compares with references: the best of them counts. */
export class Compared extends Run {
  constructor(name, compare, params) {
    super(name, { spread: name === "token_f1" });
    const steps = parameters(params, ["normalise"]).normalise;
    this.compare = compare;
    this.steps = steps === undefined ? STEPS : steps;
    if (!Array.isArray(this.steps) || this.steps.some((step) => !STEPS.includes(step))) {
      const names = STEPS.map((step) => `\`${step}\``).join(", ");
      throw Problem.invalidRequest(`params.normalise must be a list of ${names}`, { param: "params.normalise" });
    }
  }

  judge(sample) {
    check(this.name, sample, true);
    const output = normalise(sample.output, this.steps);
    let best = { value: 0 };
    sample.references.forEach((reference, place) => {
      const value = this.compare(output, normalise(reference, this.steps));
      if (value > best.value) best = { value, explanation: `by references[${place}]` };
    });
    return best;
  }
}

/** 1 for the same text. */
export const exact = (output, reference) => (output === reference ? 1 : 0);

/** The harmonic mean of precision and recall over bags of tokens. */
export function tokenF1(output, reference) {
  const [left, right] = [words(output), words(reference)];
  if (left.length === 0 || right.length === 0) return left.length === right.length ? 1 : 0;
  const bag = new Map();
  for (const token of right) bag.set(token, (bag.get(token) ?? 0) + 1);
  let common = 0;
  for (const token of left) {
    const rest = bag.get(token) ?? 0;
    if (rest > 0) common += 1;
    bag.set(token, rest - 1);
  }
  return (2 * common) / (left.length + right.length);
}

const MEASURES = { characters, words: (text) => words(text).length, bytes: size };

/** The output's length, or whether it lies between bounds. */
export class Length extends Run {
  constructor(params) {
    const found = parameters(params, ["unit", "min", "max"]);
    const [min, max] = [count(found, "min"), count(found, "max")];
    super("length", { spread: min === undefined && max === undefined });
    this.measure = MEASURES[word(found, "unit", Object.keys(MEASURES), "characters")];
    if (min > max) {
      const message = "params.min is larger than params.max: no output could pass";
      throw Problem.invalidRequest(message, { param: "params.min" });
    }
    Object.assign(this, { min: min ?? 0, max: max ?? Infinity });
  }

  judge(sample) {
    check(this.name, sample, false);
    const length = this.measure(sample.output);
    if (this.spread) return { value: length };
    return { value: length >= this.min && length <= this.max ? 1 : 0 };
  }
}
