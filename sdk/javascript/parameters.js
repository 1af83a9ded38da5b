/** JSON objects from outside, checked at the edge: unknown keys are errors, never ignored. */
import { Problem } from "./problem.js";

const listed = (names) => names.map((name) => `\`${name}\``).join(", ") || "none";

/** The JSON object in `text`, with the keys of `known` at most; an empty text is an object without entries. */
export function parameters(text, known, param = "params") {
  if (text.trim() === "") return {};
  let found;
  try {
    found = JSON.parse(text);
  } catch (error) {
    throw Problem.invalidRequest(`${param}: ${error.message}`, { param });
  }
  if (typeof found !== "object" || found === null || Array.isArray(found)) {
    throw Problem.invalidRequest(`${param} must be a JSON object`, { param });
  }
  for (const key of Object.keys(found)) {
    if (known.includes(key)) continue;
    throw Problem.invalidRequest(`${param}: unknown key \`${key}\`; there are ${listed(known)}`, { param });
  }
  return found;
}

/** The whole number from 0 up under this key, or undefined. */
export function count(found, key, param = "params") {
  const value = found[key] ?? undefined;
  if (value === undefined || (Number.isInteger(value) && value >= 0)) return value;
  throw Problem.invalidRequest(`${param}.${key} must be a whole number from 0 up`, { param: `${param}.${key}` });
}

/** One of these words under this key. */
export function word(found, key, words, otherwise, param = "params") {
  const value = found[key] === undefined ? otherwise : found[key];
  if (words.includes(value)) return value;
  throw Problem.invalidRequest(`${param}.${key} must be one of ${listed(words)}`, { param: `${param}.${key}` });
}
