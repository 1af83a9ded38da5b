/**
 * Lets unit tests run under plain Node.js: `node --import ./…/testing.js --test`. `encaje-sdk` is this folder; a module
 * of the host (`encaje:…`) is what `globalThis.encaje` says under its name without version, and empty otherwise;
 * TypeScript loses its types. No part of a plugin.
 */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import * as nodeModule from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const SDK = { "encaje-sdk": "./index.js", "encaje-sdk/host": "./host.js" };

/** Node's hook: where a module is. */
export async function resolve(specifier, context, next) {
  if (Object.hasOwn(SDK, specifier)) return { url: new URL(SDK[specifier], import.meta.url).href, shortCircuit: true };
  if (specifier.startsWith("encaje:")) return { url: specifier, format: "module", shortCircuit: true };
  return next(specifier, context);
}

/** Node's hook: what is in it. */
export async function load(url, context, next) {
  if (url.startsWith("encaje:")) {
    const name = JSON.stringify(url.slice("encaje:".length).replace(/@.*/, ""));
    return { format: "module", source: `export default globalThis.encaje?.[${name}] ?? {};`, shortCircuit: true };
  }
  if (!url.endsWith(".ts")) return next(url, context);
  const source = await stripped(readFileSync(fileURLToPath(url), "utf8"));
  return { format: "module", source, shortCircuit: true };
}

/** By Node.js itself from 22.13 on, before that by the esbuild that `encaje plugin build` installed. */
async function stripped(source) {
  if (nodeModule.stripTypeScriptTypes !== undefined) return nodeModule.stripTypeScriptTypes(source);
  const toolchains = join(process.env.ENCAJE_HOME || join(homedir(), ".cache", "encaje"), "toolchains");
  const folders = existsSync(toolchains) ? readdirSync(toolchains) : [];
  const library = folders
    .filter((name) => name.startsWith("javascript-"))
    .map((name) => join(toolchains, name, "node_modules/esbuild/lib/main.js"))
    .find((path) => existsSync(path));
  if (library === undefined) {
    throw new Error(
      "this Node.js cannot read TypeScript: use 22.13 or newer, or run `encaje plugin build` once before",
    );
  }
  const { default: esbuild } = await import(library);
  return (await esbuild.transform(source, { loader: "ts", format: "esm" })).code;
}

// The hooks run in a thread of their own, which loads this file again.
if (!("encajeHooks" in globalThis)) {
  globalThis.encajeHooks = true;
  if (nodeModule.isMainThread ?? (await import("node:worker_threads")).isMainThread) {
    nodeModule.register(import.meta.url);
  }
}
