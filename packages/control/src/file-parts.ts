/**
 * @module
 * The parts of a file between its `---`, each by a mark of its text: what a part said before it says again while its text is the same.
 */

/** A part of a text, and the lines and UTF-16 units before it. */
export interface Part {
  readonly text: string;
  readonly line: number;
  readonly offset: number;
}

/** Where a part stood, and which of its file's objects were its own: `count` of them from `first` on. */
export interface KnownPart {
  readonly line: number;
  readonly offset: number;
  readonly first: number;
  readonly count: number;
}

/** Null: where documents begin cannot be told by these lines alone. */
export function splitDocuments(text: string): Part[] | null {
  // Directives and ends of documents (YAML 1.2, 6.8 and 9.1.2), and line breaks that only some readers know.
  if (/(?:^|\n)(?:%|\.\.\.|\ufeff)|\r(?!\n)/.test(text)) return null;
  const starts = [0];
  for (const { index } of text.matchAll(/\n---(?=[ \t\r\n]|$)/g)) starts.push(index + 1);
  let line = 0;
  return starts.map((offset, at) => {
    const part = { text: text.slice(offset, starts[at + 1]), line, offset };
    line += linesOf(part.text);
    return part;
  });
}

function linesOf(text: string): number {
  let lines = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines += 1;
  return lines;
}

/** Words for each part: its mark (two), line, offset, how many objects. */
const WORDS = 5;

/** Of one file. Texts themselves are not kept. */
export class FileParts {
  readonly #words: Uint32Array;

  /** `counts`: how many objects came of each part. */
  constructor(parts: readonly Part[], counts: readonly number[]) {
    this.#words = new Uint32Array(parts.length * WORDS);
    for (const [at, { text, line, offset }] of parts.entries())
      this.#words.set([...marksOf(text), line, offset, counts[at] ?? 0], at * WORDS);
  }

  /** By the marks of their texts. */
  known(): Map<string, KnownPart> {
    const parts = new Map<string, KnownPart>();
    let first = 0;
    for (let at = 0; at < this.#words.length; at += WORDS) {
      const [high = 0, low = 0, line = 0, offset = 0, count = 0] = this.#words.subarray(at, at + WORDS);
      parts.set(`${high} ${low}`, { line, offset, first, count });
      first += count;
    }
    return parts;
  }
}

export const markOf = (text: string): string => marksOf(text).join(" ");

/** 64 bits of a text: two sums that run apart (multiply and rotate as MurmurHash3 does) and are mixed into each other at the end. */
function marksOf(text: string): [high: number, low: number] {
  let [high, low] = [0x9e37_79b9 ^ text.length, 0x85eb_ca6b ^ text.length];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    high = Math.imul(rotated(high ^ Math.imul(code, 0xcc9e_2d51), 13), 5) + 0x3c6e_f372;
    low = Math.imul(rotated(low ^ Math.imul(code, 0x1b87_3593), 15), 9) + 0x1656_67b1;
  }
  high = mixed(high);
  low = mixed(low ^ high);
  return [mixed(high ^ low), low];
}

const rotated = (word: number, by: number): number => (word << by) | (word >>> (32 - by));

/** MurmurHash3's last step, of 32 bits. */
function mixed(word: number): number {
  const first = Math.imul(word ^ (word >>> 16), 0x85eb_ca6b);
  const second = Math.imul(first ^ (first >>> 13), 0xc2b2_ae35);
  return (second ^ (second >>> 16)) >>> 0;
}
