/**
 * @module
 * A set of numbers that are given one after the other: a bit for each, where a set of JavaScript takes dozens of bytes.
 */

/** Numbers in a block. */
const BLOCK = 4096;

interface Block {
  readonly words: Uint32Array;
  count: number;
}

/** Of whole numbers from 0 to 2^32 - 1. */
export class NumberSet {
  readonly #blocks = new Map<number, Block>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(value: number): boolean {
    const words = this.#blocks.get(Math.floor(value / BLOCK))?.words;
    return words !== undefined && ((words[(value % BLOCK) >> 5] ?? 0) & bit(value)) !== 0;
  }

  add(value: number): void {
    if (this.has(value)) return;
    const at = Math.floor(value / BLOCK);
    const block = this.#blocks.get(at) ?? { words: new Uint32Array(BLOCK >> 5), count: 0 };
    this.#blocks.set(at, block);
    const word = (value % BLOCK) >> 5;
    block.words[word] = (block.words[word] ?? 0) | bit(value);
    block.count += 1;
    this.#size += 1;
  }

  delete(value: number): void {
    const at = Math.floor(value / BLOCK);
    const block = this.#blocks.get(at);
    if (!block || !this.has(value)) return;
    const word = (value % BLOCK) >> 5;
    block.words[word] = (block.words[word] ?? 0) & ~bit(value);
    block.count -= 1;
    this.#size -= 1;
    if (block.count === 0) this.#blocks.delete(at);
  }
}

const bit = (value: number): number => 1 << (value % 32);
