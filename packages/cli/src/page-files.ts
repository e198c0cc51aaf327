/**
 * @module
 * Where the built pages are. A checkout builds them when they are first asked for; a package has them beside the command.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { PageFiles } from "@skep/agent";
import { CliError } from "./errors.ts";

/** `scripts/build.mjs`: each builds where something is missing or older than its sources, and gives the folder. */
interface Builder {
  buildPage(): Promise<string>;
  buildPlayground(): Promise<string>;
}

function ancestorWith(...names: readonly string[]): string | null {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (names.every((name) => existsSync(join(folder, name)))) return folder;
    if (folder === dirname(folder)) return null;
  }
}

async function folderOf(name: "ui" | "playground"): Promise<string> {
  const checkout = ancestorWith("scripts/build.mjs", "node_modules/esbuild");
  if (checkout !== null) {
    const builder = (await import(pathToFileURL(join(checkout, "scripts/build.mjs")).href)) as Builder;
    return name === "ui" ? builder.buildPage() : builder.buildPlayground();
  }
  const packed = ancestorWith(`${name}/index.html`);
  if (packed === null) throw new CliError("the page is not part of this installation: run `npm ci` in a checkout");
  return join(packed, name);
}

export const pageFiles: PageFiles = { page: () => folderOf("ui"), playground: () => folderOf("playground") };
