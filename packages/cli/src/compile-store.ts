/**
 * @module
 * What this version of the compiler has compiled, in the user's folder for caches: a second process need not compile it again.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { deserialize, serialize } from "node:v8";
import type { CompileStore } from "@skep/compiler";
import { systemCode } from "./errors.ts";

/** Files that are kept; beyond that the older half goes. */
const MOST_FILES = 4096;
const DIGEST = 32;

/** A store in `folder`, which is made when something is put there. Where it cannot be written nothing is kept. */
export class FolderStore implements CompileStore {
  readonly #folder: string;
  #writes = 0;
  #isClosed = false;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** What was put there; undefined where that is nothing, or not whole. */
  get(name: string): unknown {
    const bytes = readIfThere(join(this.#folder, name));
    if (bytes === undefined || bytes.length < DIGEST) return undefined;
    const contents = bytes.subarray(DIGEST);
    return digest(contents).equals(bytes.subarray(0, DIGEST)) ? deserialize(contents) : undefined;
  }

  put(name: string, value: unknown): void {
    if (this.#isClosed) return;
    const contents = serialize(value);
    const path = join(this.#folder, name);
    try {
      if (this.#writes++ === 0) this.#prepare();
      const fresh = `${path}.${process.pid}`;
      writeFileSync(fresh, Buffer.concat([digest(contents), contents]), { mode: 0o600 });
      renameSync(fresh, path);
    } catch (error) {
      // No place for a cache (read-only, full, somebody else's) is no failure: the next process compiles again.
      if (systemCode(error) === null) throw error;
      this.#isClosed = true;
    }
  }

  #prepare(): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const names = readdirSync(this.#folder);
    if (names.length <= MOST_FILES) return;
    const files = names.map((name) => ({ path: join(this.#folder, name), time: changedAt(join(this.#folder, name)) }));
    files.sort((a, b) => a.time - b.time);
    for (const { path } of files.slice(0, files.length / 2)) rmSync(path, { force: true });
  }
}

const digest = (bytes: Uint8Array): Buffer => createHash("sha256").update(bytes).digest();

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (systemCode(error) === null) throw error;
    return undefined;
  }
}

function changedAt(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** What the compiler that is built was made of; undefined where it runs from its sources. */
function compilerStamp(): string | undefined {
  const here = dirname(fileURLToPath(import.meta.url));
  const found = [here, dirname(here)].map((folder) => readIfThere(join(folder, ".compiler-stamp")));
  return found.find((bytes) => bytes !== undefined)?.toString("latin1");
}

let shared: CompileStore | null | undefined;

/**
 * The store of this user and this compiler: below `$SKEP_CACHE`, else `$XDG_CACHE_HOME/skep`, else `~/.cache/skep`. null where `SKEP_CACHE` is
 * empty, and where the compiler runs from its sources.
 */
export function compileStore(): CompileStore | null {
  if (shared !== undefined) return shared;
  const stamp = compilerStamp();
  const { SKEP_CACHE, XDG_CACHE_HOME } = process.env;
  const root = SKEP_CACHE ?? join(XDG_CACHE_HOME || join(homedir(), ".cache"), "skep");
  shared = stamp === undefined || root === "" ? null : new FolderStore(join(root, `compiler-${stamp}`));
  return shared;
}

/** Options for `compile`. */
export function storeOptions(): { readonly store?: CompileStore } {
  const store = compileStore();
  return store ? { store } : {};
}
