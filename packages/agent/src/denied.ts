/**
 * @module
 * A file of prefixes whose packets are dropped before all else, kept in force as it changes.
 */
import { readFileSync, statSync } from "node:fs";
import { DeniedPrefixes } from "@skep/datapath";
import { parsePrefix } from "@skep/net";

/** A line of the file is no prefix, or there are more than the programs hold. */
export class DeniedFileError extends Error {
  override readonly name = "DeniedFileError";
}

/** As many of each family as the programs' maps hold. */
const MOST = 1_048_576;

const NEWLINE = 10;
const CARRIAGE_RETURN = 13;
const DOT = 46;
const SLASH = 47;
const isDigit = (byte: number): boolean => byte >= 48 && byte <= 57;

/** A plain IPv4 prefix or address from `start` to `end`, as most lines are; null: it is to be looked at more closely. */
function plainIpv4(bytes: Uint8Array, start: number, end: number): { address: number; length: number } | null {
  let address = 0;
  let at = start;
  for (let part = 0; part < 4; part++) {
    const from = at;
    let value = 0;
    while (at < end && at - from < 3 && isDigit(bytes[at] ?? 0)) value = value * 10 + (bytes[at++] ?? 0) - 48;
    const isLong = at - from > 1 && bytes[from] === 48;
    if (at === from || value > 255 || isLong || (part < 3 && bytes[at++] !== DOT)) return null;
    address = address * 256 + value;
  }
  if (at === end) return { address, length: 32 };
  let length = 0;
  if (bytes[at++] !== SLASH || at === end || end - at > 2 || (end - at > 1 && bytes[at] === 48)) return null;
  for (; at < end; at++) {
    if (!isDigit(bytes[at] ?? 0)) return null;
    length = length * 10 + (bytes[at] ?? 0) - 48;
  }
  // With host bits it is no prefix, or not as it stands.
  return length > 32 || address % 2 ** (32 - length) !== 0 ? null : { address, length };
}

/** One prefix or address a line; what follows `#` is a comment. Throws DeniedFileError. */
export function parseDenied(bytes: Uint8Array, file: string): DeniedPrefixes {
  const found = new DeniedPrefixes();
  const text = new TextDecoder();
  for (let start = 0, line = 1; start < bytes.length; line++) {
    const next = bytes.indexOf(NEWLINE, start);
    const stop = next < 0 ? bytes.length : next;
    const end = stop > start && bytes[stop - 1] === CARRIAGE_RETURN ? stop - 1 : stop;
    const plain = plainIpv4(bytes, start, end);
    if (plain) found.addIpv4(plain.address, plain.length);
    else addLine(found, text.decode(bytes.subarray(start, end)), `${file}:${line}`);
    for (const family of [4, 6] as const)
      if (found.count(family) > MOST) throw new DeniedFileError(`${file}: more than ${MOST} prefixes of IPv${family}`);
    start = stop + 1;
  }
  return found;
}

function addLine(found: DeniedPrefixes, line: string, place: string): void {
  const word = line.replace(/#.*/, "").trim();
  if (word === "") return;
  const prefix = parsePrefix(word.includes("/") ? word : `${word}/${word.includes(":") ? 128 : 32}`);
  if (!prefix) throw new DeniedFileError(`${place}: ${JSON.stringify(word)} is no prefix`);
  found.add(prefix);
}

export class DeniedFile {
  readonly #path: string;
  readonly #sync: (prefixes: DeniedPrefixes) => unknown;
  #before = "";

  constructor(path: string, sync: (prefixes: DeniedPrefixes) => unknown) {
    this.#path = path;
    this.#sync = sync;
  }

  /** Reads the file where it has changed; whether it had. What was in force stays where this throws: DeniedFileError, or the file system's error. */
  refresh(): boolean {
    const { mtimeMs, size, ino } = statSync(this.#path);
    const now = `${mtimeMs} ${size} ${ino}`;
    if (now === this.#before) return false;
    this.#sync(parseDenied(readFileSync(this.#path), this.#path));
    this.#before = now;
    return true;
  }
}
