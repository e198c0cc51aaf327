// Loads the compiler's bundle, TypeScript with it, from the machine code's forerunner that V8 keeps: parsing eleven megabytes and compiling what is
// used of them takes longer than compiling most programs. Where the cache was made by another V8 it is left aside.
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Script } from "node:vm";

export const BUNDLE = "compiler.cjs";
export const CACHE = `compiler-${process.versions.v8}-${process.arch}.cache`;

/** The folder of the bundle, seen from a module beside it or one folder below. */
function folderFrom(url) {
  const folder = dirname(fileURLToPath(url));
  return existsSync(join(folder, BUNDLE)) ? folder : dirname(folder);
}

/** The bundle's exports, and the script that they come from. */
export function loadFrom(folder) {
  const filename = join(folder, BUNDLE);
  const cache = join(folder, CACHE);
  // The bundle is ASCII: one byte for each character.
  const source = readFileSync(filename, "latin1");
  const cachedData = existsSync(cache) ? readFileSync(cache) : undefined;
  const script = new Script(source, { filename, cachedData });
  const module = { exports: {} };
  script.runInThisContext()(module.exports, createRequire(filename), module, filename, folder);
  return { exports: module.exports, script };
}

export const loadBeside = (url) => loadFrom(folderFrom(url)).exports;
