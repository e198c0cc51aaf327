/**
 * @module
 * The source of the embedded default: a folder of YAML, watched. Tells which files changed and which are gone.
 */
import { type FSWatcher, readdirSync, statSync, watch } from "node:fs";
import { join } from "node:path";
import { readText } from "./read-text.ts";

export interface FolderChange {
  readonly file: string;
  /** Null where the file is gone. */
  readonly text: string | null;
}

export interface FolderOptions {
  readonly folder: string;
  readonly onChange: (changes: readonly FolderChange[]) => void;
  readonly onError: (error: unknown) => void;
  /** False: changes are looked for only when `look` is called. Default true. */
  readonly watch?: boolean;
}

/**
 * An editor writes in steps: truncates and fills, or renames. What is taken over is a file, or the absence of one, that has stayed the same for
 * this long; a policy that is empty for an instant would allow for that instant.
 */
const SETTLE_MS = 50;
/** Where the file system tells nothing (network mounts, overlays). */
const POLL_MS = 500;
/** A start does not wait longer for a file that never keeps still. */
const START_MS = 2000;

/** In place of a stamp. */
const GONE = "";

export class WatchedFolder {
  readonly #options: FolderOptions;
  /** Stamps of what was told last. */
  readonly #known = new Map<string, string>();
  /** What differs from it, and since when it has looked like that. */
  readonly #unsettled = new Map<string, { readonly stamp: string; readonly since: number }>();
  #watcher: FSWatcher | undefined;
  #settle: NodeJS.Timeout | undefined;
  #poll: NodeJS.Timeout | undefined;

  constructor(options: FolderOptions) {
    this.#options = options;
  }

  /** Reads everything once; throws where the folder cannot be read. */
  start(): void {
    if (this.#options.watch === false) {
      this.#scan(0);
      return;
    }
    this.#awaitStillness();
    this.#scan(0);
    this.#watcher = watch(this.#options.folder, () => this.#lookSoon());
    this.#watcher.on("error", this.#options.onError);
    this.#poll = setInterval(() => this.#tryScan(SETTLE_MS), POLL_MS);
    this.#poll.unref();
  }

  /** Tells what has changed since the last look, as it stands now. */
  look(): void {
    this.#tryScan(0);
  }

  #lookSoon(): void {
    clearTimeout(this.#settle);
    this.#settle = setTimeout(() => this.#tryScan(SETTLE_MS), SETTLE_MS);
  }

  /** While something has just been written; nothing else is to do before the first documents are there. */
  #awaitStillness(): void {
    const end = performance.now() + START_MS;
    const sleeper = new Int32Array(new SharedArrayBuffer(4));
    let before = stampsOf(this.#options.folder);
    const isFresh = [...before.values()].some(({ modified }) => Math.abs(Date.now() - modified) < SETTLE_MS);
    for (let isStill = !isFresh; !isStill && performance.now() < end;) {
      Atomics.wait(sleeper, 0, 0, SETTLE_MS);
      const now = stampsOf(this.#options.folder);
      isStill = now.size === before.size && [...now].every(([file, { stamp }]) => before.get(file)?.stamp === stamp);
      before = now;
    }
  }

  #tryScan(settleMs: number): void {
    try {
      this.#scan(settleMs);
    } catch (error) {
      this.#options.onError(error);
    }
  }

  #scan(settleMs: number): void {
    const present = stampsOf(this.#options.folder);
    const changes: FolderChange[] = [];
    for (const file of new Set([...present.keys(), ...this.#known.keys()])) {
      const stamp = present.get(file)?.stamp ?? GONE;
      if ((this.#known.get(file) ?? GONE) === stamp) this.#unsettled.delete(file);
      else if (this.#isSettled(file, stamp, settleMs)) changes.push(...this.#take(file, stamp));
    }
    for (const file of this.#unsettled.keys())
      if (!present.has(file) && !this.#known.has(file)) this.#unsettled.delete(file);
    if (this.#unsettled.size > 0) this.#lookSoon();
    if (changes.length > 0) this.#options.onChange(changes);
  }

  #isSettled(file: string, stamp: string, settleMs: number): boolean {
    const now = performance.now();
    const seen = this.#unsettled.get(file);
    if (settleMs === 0 || (seen?.stamp === stamp && now - seen.since >= settleMs)) return true;
    if (seen?.stamp !== stamp) this.#unsettled.set(file, { stamp, since: now });
    return false;
  }

  /** Nothing where the file has changed while it was read: the next look takes it. */
  #take(file: string, stamp: string): FolderChange[] {
    const text = stamp === GONE ? null : readText(file);
    if ((fileState(file)?.stamp ?? GONE) !== stamp) {
      this.#unsettled.set(file, { stamp, since: performance.now() });
      return [];
    }
    this.#unsettled.delete(file);
    if (stamp === GONE) this.#known.delete(file);
    else this.#known.set(file, stamp);
    return [{ file, text }];
  }

  close(): void {
    this.#watcher?.close();
    clearTimeout(this.#settle);
    clearInterval(this.#poll);
  }
}

interface FileState {
  readonly stamp: string;
  /** Milliseconds since 1970. */
  readonly modified: number;
}

/** The folder's documents, by path, in order. */
function stampsOf(folder: string): Map<string, FileState> {
  const names = readdirSync(folder).filter((name) => /\.ya?ml$/i.test(name) && !name.startsWith("."));
  const states = names.sort().map((name) => [join(folder, name), fileState(join(folder, name))] as const);
  return new Map(states.flatMap(([file, state]) => (state ? [[file, state] as const] : [])));
}

/** What tells one content from the next without reading it; null for what is no file (any more). */
function fileState(file: string): FileState | null {
  try {
    const stat = statSync(file, { bigint: true });
    if (!stat.isFile()) return null;
    return { stamp: `${stat.ino} ${stat.size} ${stat.mtimeNs}`, modified: Number(stat.mtimeMs) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}
