/**
 * @module
 * A value on disk whose changes are appended: `NAME.json` is the whole, `NAME.N.log` what has changed since, a line each time. `N` stands in
 * the whole, so that a log is never added to another whole than its own, wherever writing ended.
 */
import { closeSync, fdatasyncSync, fsyncSync, openSync, readdirSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { readText } from "./read-text.ts";

/** A file of the state folder that does not parse: the agent does not guess at numbers that maps hold. */
export class StateError extends Error {
  override readonly name = "StateError";
  readonly file: string;
  constructor(file: string, cause: unknown) {
    super(`${file} is damaged: put back a good copy, or take the datapath down (skep down) and remove it`, { cause });
    this.file = file;
  }
}

/** A log may grow as large as the whole that it spares to write, and this large in any case. */
const LEAST_BYTES = 1 << 20;

export class Journal {
  readonly #folder: string;
  readonly #name: string;
  #number = 0;
  #wholeBytes = 0;
  #logBytes = 0;
  #log: number | null = null;

  constructor(folder: string, name: string) {
    this.#folder = folder;
    this.#name = name;
  }

  get #file(): string {
    return join(this.#folder, `${this.#name}.json`);
  }

  #logFile(number: number): string {
    return join(this.#folder, `${this.#name}.${number}.log`);
  }

  /** The whole as it was written last, and the changes since; null where nothing was. Throws StateError. */
  read(): { readonly whole: unknown; readonly changes: readonly unknown[] } | null {
    const found = readJson(this.#file) as { journal?: number } | null;
    if (!found) return null;
    const { journal = 0, ...whole } = found;
    this.#number = journal;
    return { whole, changes: this.#readLog(journal) };
  }

  /** A last line that is not whole was never answered for: whoever wrote it ended before. */
  #readLog(number: number): unknown[] {
    const file = this.#logFile(number);
    const lines = (readText(file) ?? "").split("\n");
    const torn = lines.pop();
    return lines.flatMap((line, at) => {
      try {
        return JSON.parse(line) as unknown[];
      } catch (error) {
        // A block of the last write may have come to the disk without the one before it.
        if (at === lines.length - 1 && torn === "") return [];
        throw new StateError(file, error);
      }
    });
  }

  /** Whether the next change is better written with the whole: there is none yet, or the log has grown long. */
  get isDue(): boolean {
    return this.#log === null || this.#logBytes > Math.max(this.#wholeBytes, LEAST_BYTES);
  }

  /** Written and synced when it returns. The log begins anew. */
  replace(whole: object): void {
    this.close();
    const number = this.#number + 1;
    const text = JSON.stringify({ ...whole, journal: number });
    // The log is there before the whole that names it.
    rmSync(this.#logFile(number), { force: true });
    const log = openSync(this.#logFile(number), "a", 0o600);
    try {
      writeAtomic(this.#file, text);
    } catch (error) {
      closeSync(log);
      throw error;
    }
    this.#number = number;
    this.#log = log;
    this.#logBytes = 0;
    this.#wholeBytes = text.length;
    this.#removeOldLogs();
  }

  /** Written and synced when it returns. After an error the whole must be written. */
  append(changes: readonly unknown[]): void {
    if (this.#log === null) throw new Error("a change of nothing");
    const line = `${JSON.stringify(changes)}\n`;
    try {
      writeAll(this.#log, line);
      fdatasyncSync(this.#log);
    } catch (error) {
      this.close();
      throw error;
    }
    this.#logBytes += line.length;
  }

  #removeOldLogs(): void {
    const own = `${this.#name}.${this.#number}.log`;
    for (const name of readdirSync(this.#folder))
      if (name !== own && name.startsWith(`${this.#name}.`) && name.endsWith(".log"))
        rmSync(join(this.#folder, name), { force: true });
  }

  close(): void {
    if (this.#log !== null) closeSync(this.#log);
    this.#log = null;
  }
}

export function readJson(file: string): unknown {
  const text = readText(file);
  if (text === null) return null;
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new StateError(file, error);
  }
}

function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
}

/** The old content or the new one, whatever happens; the folder is synced so that the name lasts too. */
export function writeAtomic(file: string, text: string): void {
  const fresh = `${file}.new`;
  const fd = openSync(fresh, "w", 0o600);
  try {
    writeAll(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(fresh, file);
  const folder = openSync(dirname(file), "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
