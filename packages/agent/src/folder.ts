/**
 * @module
 * The source of the embedded default: a folder of YAML, watched. Tells which files changed and which are gone.
 */
import { type FSWatcher, readdirSync, readFileSync, statSync, watch } from "node:fs";
import { join } from "node:path";

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

/** An editor writes in steps: what is read is a file that has kept still for this long. */
const SETTLE_MS = 50;
/** Where the file system tells nothing (network mounts, overlays). */
const POLL_MS = 500;

export class WatchedFolder {
  readonly #options: FolderOptions;
  readonly #known = new Map<string, string>();
  #watcher: FSWatcher | undefined;
  #settle: NodeJS.Timeout | undefined;
  #poll: NodeJS.Timeout | undefined;

  constructor(options: FolderOptions) {
    this.#options = options;
  }

  /** Reads everything once; throws where the folder cannot be read. */
  start(): void {
    this.#scan();
    if (this.#options.watch === false) return;
    this.#watcher = watch(this.#options.folder, () => {
      clearTimeout(this.#settle);
      this.#settle = setTimeout(() => this.look(), SETTLE_MS);
    });
    this.#watcher.on("error", this.#options.onError);
    this.#poll = setInterval(() => this.look(), POLL_MS);
    this.#poll.unref();
  }

  /** Tells what has changed since the last look. */
  look(): void {
    try {
      this.#scan();
    } catch (error) {
      this.#options.onError(error);
    }
  }

  #scan(): void {
    const changes: FolderChange[] = [];
    const present = new Set<string>();
    for (const name of readdirSync(this.#options.folder).sort()) {
      if (!/\.ya?ml$/i.test(name) || name.startsWith(".")) continue;
      const file = join(this.#options.folder, name);
      const seen = fileState(file);
      if (seen === null) continue;
      present.add(file);
      if (this.#known.get(file) === seen.stamp) continue;
      this.#known.set(file, seen.stamp);
      changes.push({ file, text: readFileSync(file, "utf8") });
    }
    for (const file of this.#known.keys()) {
      if (present.has(file)) continue;
      this.#known.delete(file);
      changes.push({ file, text: null });
    }
    if (changes.length > 0) this.#options.onChange(changes);
  }

  close(): void {
    this.#watcher?.close();
    clearTimeout(this.#settle);
    clearInterval(this.#poll);
  }
}

/** What tells one content from the next without reading it; null for what is no file (any more). */
function fileState(file: string): { stamp: string } | null {
  try {
    const stat = statSync(file, { bigint: true });
    return stat.isFile() ? { stamp: `${stat.ino} ${stat.size} ${stat.mtimeNs}` } : null;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}
