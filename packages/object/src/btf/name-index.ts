import { encodeText } from "../bytes.ts";
import type { BtfStrings } from "./decode.ts";

const UNDERSCORE = 0x5f;

export interface NameIndexInput {
  readonly firstId: number;
  readonly count: number;
  /** String offset of the name of type `firstId + index`. */
  readonly nameOffset: (index: number) => number;
  readonly strings: BtfStrings;
}

/** Hash table from names to type ids that never makes JavaScript strings of the names. */
export class NameIndex {
  /** Ids of the types whose name has a `___` in it, ascending. */
  readonly flavored: readonly number[];
  private readonly firstId: number;
  private readonly heads: Int32Array;
  private readonly next: Int32Array;
  private readonly mask: number;

  constructor(input: NameIndexInput) {
    let size = 16;
    while (size < input.count) size *= 2;
    this.firstId = input.firstId;
    this.mask = size - 1;
    this.heads = new Int32Array(size).fill(-1);
    this.next = new Int32Array(input.count).fill(-1);
    const flavored: number[] = [];
    // Backwards, so that chains ascend.
    for (let index = input.count - 1; index >= 0; index--) {
      const { hash, hasFlavor } = hashAt(input.strings, input.nameOffset(index));
      const slot = hash & this.mask;
      this.next[index] = this.heads[slot] ?? -1;
      this.heads[slot] = index;
      if (hasFlavor) flavored.push(input.firstId + index);
    }
    this.flavored = flavored.reverse();
  }

  /** Candidates, ascending: every type with this name, and others of the same hash. */
  find(name: string): number[] {
    const found: number[] = [];
    const bytes = encodeText(`${name}\0`);
    let index = this.heads[hashAt({ start: 0, own: bytes }, 0).hash & this.mask] ?? -1;
    while (index >= 0) {
      found.push(this.firstId + index);
      index = this.next[index] ?? -1;
    }
    return found;
  }
}

/** FNV-1a over the bytes up to the NUL. */
function hashAt(strings: BtfStrings, offset: number): { hash: number; hasFlavor: boolean } {
  let table = strings;
  while (offset < table.start && table.base !== undefined) table = table.base;
  const bytes = table.own;
  let hash = 0x811c9dc5;
  let underscores = 0;
  let hasFlavor = false;
  for (let at = offset - table.start; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (byte === 0) break;
    hash = Math.imul(hash ^ byte, 0x01000193);
    underscores = byte === UNDERSCORE ? underscores + 1 : 0;
    if (underscores === 3) hasFlavor = true;
  }
  return { hash: hash >>> 0, hasFlavor };
}
