/**
 * What plugins in JavaScript and TypeScript are written with: one function a kind, and helpers that need no host.
 * `encaje plugin build` puts it into the plugin. What only the host can do is in `encaje-sdk/host`.
 */
export { Problem } from "./problem.js";
export { evaluatorPlugin, Run } from "./evaluator.js";
export { providerPlugin, text, finish, usage, messages, refuseBeyond } from "./provider.js";
export { instrumentorPlugin } from "./instrumentor.js";
export { parameters, count, word } from "./parameters.js";
export { Tally } from "./tally.js";
export { events } from "./sse.js";
export { retryAfterMs } from "./retry-after.js";
