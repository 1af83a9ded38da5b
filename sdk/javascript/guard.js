/**
 * Between the plugin and the bindings: whatever a plugin throws leaves as a typed problem. An exception that left the
 * guest would end its instance, and tell the caller nothing.
 */
import { Problem } from "./problem.js";

/** Characters of a stack in the operator's log. */
const DETAIL = 2000;

/** The function, with what it throws as the WIT's record. */
export function guarded(call) {
  return function (...values) {
    let result;
    try {
      result = call.apply(this, values);
    } catch (error) {
      throw record(error);
    }
    if (typeof result?.then === "function") {
      throw record(Problem.internal("the plugin returned a promise: its functions are synchronous"));
    }
    return result;
  };
}

/** The WIT's record for what was thrown; what a host call failed with stays as it came. */
export function record(error) {
  if (typeof error?.kind?.tag === "string" && typeof error.message === "string") return error;
  let problem = error;
  if (!(error instanceof Problem)) {
    const logDetail = `${error}\n${error?.stack ?? ""}`.slice(0, DETAIL);
    problem = Problem.internal("the plugin failed", { code: "plugin_exception", logDetail });
  }
  return {
    kind: { tag: problem.kind },
    message: problem.message,
    logDetail: problem.logDetail ?? null,
    code: problem.code ?? null,
    param: problem.param ?? null,
    retryAfterMs: problem.retryAfterMs ?? null,
    upstreamStatus: problem.upstreamStatus ?? null,
    extra: [],
  };
}

/** The interface that every plugin exports. */
export function lifecycle(plugin, offers) {
  return { check: guarded(() => plugin.check?.() ?? offers) };
}
