/**
 * @module
 * A map by block: an array by the blocks' ids, which are small numbers and unique in their function.
 */
import type { Block } from "../ir.ts";

export interface ReadonlyBlockMap<T> {
  get(block: Block): T | undefined;
  has(block: Block): boolean;
}

export class BlockMap<T> implements ReadonlyBlockMap<T> {
  readonly #values: (T | undefined)[];

  /** `bound`: above every id, as `idBound` gives it. */
  constructor(bound: number) {
    // Long enough from the start: an array that grows in leaps becomes a hash table.
    // oxlint-disable-next-line unicorn/no-new-array -- Array.from fills it one by one
    this.#values = new Array<T | undefined>(bound);
  }

  get(block: Block): T | undefined {
    return this.#values[block.id];
  }

  /** `undefined` counts as absent. */
  has(block: Block): boolean {
    return this.#values[block.id] !== undefined;
  }

  set(block: Block, value: T): void {
    this.#values[block.id] = value;
  }
}

export function idBound(blocks: readonly Block[]): number {
  let most = -1;
  for (const { id } of blocks) if (id > most) most = id;
  return most + 1;
}
