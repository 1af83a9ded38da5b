/** The host's capabilities that most plugins use. The others are imported by name, e.g. `encaje:host/kv@0.1.0`. */
import hostConfig from "encaje:host/config@0.1.0";
import hostLog from "encaje:host/log@0.1.0";

/** The plugin's own table of the registry, with the schema's defaults. */
export const config = () => JSON.parse(hostConfig.get());

/** One line in the operator's log; `level` is `trace`, `debug`, `info`, `warn` or `error`. Never fails. */
export function log(level, message, fields = {}) {
  hostLog.write(
    level,
    message,
    Object.entries(fields).map(([name, value]) => [name, String(value)]),
  );
}

/** The lines of an HTTP answer as they come, for `events`. */
export function* lines(response) {
  for (let line = response.readLine(); line !== null; line = response.readLine()) yield line;
}
