/**
 * @module
 * A file of prefixes whose packets are dropped before all else, kept in force as it changes.
 */
import { readFileSync, statSync } from "node:fs";
import { parsePrefix, type Prefix } from "@skep/net";

/** A line of the file is no prefix, or there are more than the programs hold. */
export class DeniedFileError extends Error {
  override readonly name = "DeniedFileError";
}

/** As many of each family as the programs' maps hold. */
const MOST = 1_048_576;

/** One prefix or address a line; what follows `#` is a comment. Throws DeniedFileError. */
export function parseDenied(text: string, file: string): Prefix[] {
  const found: Prefix[] = [];
  const counts = { 4: 0, 6: 0 };
  for (const [at, line] of text.split("\n").entries()) {
    const word = line.replace(/#.*/, "").trim();
    if (word === "") continue;
    const prefix = parsePrefix(word.includes("/") ? word : `${word}/${word.includes(":") ? 128 : 32}`);
    if (!prefix) throw new DeniedFileError(`${file}:${at + 1}: ${JSON.stringify(word)} is no prefix`);
    const { family } = prefix.address;
    counts[family] += 1;
    if (counts[family] > MOST) throw new DeniedFileError(`${file}: more than ${MOST} prefixes of IPv${family}`);
    found.push(prefix);
  }
  return found;
}

export class DeniedFile {
  readonly #path: string;
  readonly #sync: (prefixes: readonly Prefix[]) => unknown;
  #before = "";

  constructor(path: string, sync: (prefixes: readonly Prefix[]) => unknown) {
    this.#path = path;
    this.#sync = sync;
  }

  /** Reads the file where it has changed; whether it had. What was in force stays where this throws: DeniedFileError, or the file system's error. */
  refresh(): boolean {
    const { mtimeMs, size, ino } = statSync(this.#path);
    const now = `${mtimeMs} ${size} ${ino}`;
    if (now === this.#before) return false;
    this.#sync(parseDenied(readFileSync(this.#path, "utf8"), this.#path));
    this.#before = now;
    return true;
  }
}
