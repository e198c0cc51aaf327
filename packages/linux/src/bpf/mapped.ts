import { MAP, Mapping, PROT, type Descriptor } from "../sys/index.ts";

/**
 * Memory of a map in this process: reads and writes without a system call. Offsets are bytes from the start; numbers are little
 * endian. Nothing of the memory itself is handed out, so that it can be unmapped.
 */
export class MappedMemory {
  readonly length: number;
  readonly isWritable: boolean;
  readonly #mapping: Mapping;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;

  constructor(
    descriptor: Descriptor,
    length: number,
    options: { readonly isWritable: boolean; readonly address?: bigint },
  ) {
    this.length = length;
    this.isWritable = options.isWritable;
    const protection = options.isWritable ? PROT.READ | PROT.WRITE : PROT.READ;
    const { address = 0n } = options;
    this.#mapping = new Mapping({ length, protection, flags: MAP.SHARED, descriptor, address });
    this.#view = new DataView(this.#mapping.buffer);
    this.#bytes = new Uint8Array(this.#mapping.buffer);
  }

  /** Where the memory lies in this process: what an arena's pointers count from. */
  get address(): bigint {
    return this.#mapping.address;
  }

  #check(offset: number, size: number, isWrite: boolean): void {
    if (this.#mapping.isClosed) throw new Error("use of a mapping that is unmapped");
    // Writing to read-only memory would end the process.
    if (isWrite && !this.isWritable) throw new TypeError("the mapping is read only");
    if (!Number.isInteger(offset) || offset < 0 || offset + size > this.length)
      throw new RangeError(`${size} bytes at ${offset} of ${this.length}`);
  }

  u32(offset: number): number {
    this.#check(offset, 4, false);
    return this.#view.getUint32(offset, true);
  }

  u64(offset: number): bigint {
    this.#check(offset, 8, false);
    return this.#view.getBigUint64(offset, true);
  }

  /** A counter of 64 bits as a number, without making a bigint. Exact up to 2^53. */
  counter(offset: number): number {
    this.#check(offset, 8, false);
    return this.#view.getUint32(offset, true) + this.#view.getUint32(offset + 4, true) * 0x1_0000_0000;
  }

  /** A copy. */
  read(offset: number, length: number): Uint8Array {
    this.#check(offset, length, false);
    return this.#bytes.slice(offset, offset + length);
  }

  setU32(offset: number, value: number): void {
    this.#check(offset, 4, true);
    this.#view.setUint32(offset, value, true);
  }

  setU64(offset: number, value: bigint): void {
    this.#check(offset, 8, true);
    this.#view.setBigUint64(offset, value, true);
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#check(offset, bytes.byteLength, true);
    this.#bytes.set(bytes, offset);
  }

  close(): void {
    this.#mapping.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
