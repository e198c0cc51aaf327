import { readFileSync } from "node:fs";
import { rawMmap, rawView, syscall } from "./library.ts";
import type { Descriptor } from "./descriptor.ts";

export const PROT = { READ: 1, WRITE: 2, EXEC: 4 } as const;
export const MAP = { SHARED: 1, PRIVATE: 2, ANONYMOUS: 0x20, POPULATE: 0x8000, FIXED_NOREPLACE: 0x10_0000 } as const;
export const MADV = { DONTNEED: 4 } as const;
export const PAGE_SIZE = pageSize();

/** arm64 may have pages of 16 or 64 KiB; the auxiliary vector says (AT_PAGESZ, 6). */
function pageSize(): number {
  const bytes = readFileSync("/proc/self/auxv");
  const vector = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + 16 <= vector.byteLength; at += 16) {
    if (vector.getBigUint64(at, true) === 6n) return Number(vector.getBigUint64(at + 8, true));
  }
  return 4096;
}

let live = 0;

/** How many mappings are alive. For leak tests. */
export function liveMappings(): number {
  return live;
}

/**
 * Owns one mapping and every view of it. Reading a view after munmap ends the process, so views stay inside the library:
 * classes that hold a mapping hand out copies, and drop their views when they close it.
 */
export class Mapping {
  readonly length: number;
  readonly #address: bigint;
  #buffer: ArrayBuffer | null;

  constructor(options: {
    readonly length: number;
    readonly protection: number;
    readonly flags: number;
    readonly descriptor?: Descriptor;
    readonly offset?: number;
    /** Where it must lie. Throws EEXIST where something else does. */
    readonly address?: bigint;
  }) {
    const { length, protection, address = 0n, offset = 0 } = options;
    const flags = options.flags | (address === 0n ? 0 : MAP.FIXED_NOREPLACE);
    this.length = length;
    this.#address = rawMmap({ length, protection, flags, fd: options.descriptor?.fd ?? -1, offset, address });
    this.#buffer = rawView(this.#address, options.length);
    live++;
  }

  /** The memory. Throws after `close`. The caller must not use what it took from it after that. */
  get buffer(): ArrayBuffer {
    if (this.#buffer === null) throw new Error("use of a mapping that is unmapped");
    return this.#buffer;
  }

  get address(): bigint {
    void this.buffer;
    return this.#address;
  }

  get isClosed(): boolean {
    return this.#buffer === null;
  }

  close(): void {
    if (this.#buffer === null) return;
    this.#buffer = null;
    syscall("munmap", this.#address, this.length);
    live--;
  }
}
