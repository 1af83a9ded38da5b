/**
 * Instrumentors: `export const { lifecycle, instrumentor } = instrumentorPlugin({ before, filter, after })` in the entry
 * module. A hook that is not written is not offered.
 */
import { guarded, lifecycle, record } from "./guard.js";
import { Problem } from "./problem.js";

const HOOKS = { before: "before", filter: "filter", after: "after", exportSpans: "export-spans", ingest: "ingest" };

/**
 * What the entry module must export. `before(request)` returns a decision such as `{ tag: "pass" }` or throws a
 * `Problem` for the caller; `filter(request)` an
 * object with `push(chunks)` and `finish()`; `after(exchange)` an annotation, whose parts may be left out.
 */
export function instrumentorPlugin(plugin) {
  class Filter {
    constructor(filter) {
      this.filter = filter;
    }
  }
  Filter.prototype.push = guarded(function (chunks) {
    return this.filter.push(chunks);
  });
  Filter.prototype.finish = guarded(function () {
    return this.filter.finish();
  });
  const own =
    (name) =>
    (...values) => {
      if (plugin[name] === undefined) throw Problem.unsupported(`this instrumentor has no \`${HOOKS[name]}\``);
      return plugin[name](...values);
    };
  const hook = (name) => guarded(own(name));
  const instrumentor = {
    Filter,
    before: guarded((request) => {
      try {
        return own("before")(request);
      } catch (error) {
        // A refusal is a decision; other exceptions are failures, about which the operator has said what to do.
        if (error instanceof Problem) return { tag: "reject", val: record(error) };
        throw error;
      }
    }),
    openFilter: guarded((request) => new Filter(own("filter")(request))),
    after: guarded((exchange) => ({ attributes: [], scores: [], tags: [], ...own("after")(exchange) })),
    exportSpans: hook("exportSpans"),
    ingest: hook("ingest"),
  };
  const offers = Object.keys(HOOKS)
    .filter((name) => plugin[name] !== undefined)
    .map((name) => HOOKS[name]);
  return { lifecycle: lifecycle(plugin, offers), instrumentor };
}
