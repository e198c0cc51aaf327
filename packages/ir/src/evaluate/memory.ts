/**
 * @module
 * Memory of the evaluator: objects with bounds, each in an address range of its own, so that a stray access is an error, never another object.
 */

/** An access outside of every object, or a program that does not end. */
export class EvaluationError extends Error {
  override readonly name = "EvaluationError";
}

/** Address bits within an object's range. */
const RANGE_BITS = 32n;

export class Memory {
  readonly #objects = new Map<bigint, Uint8Array>();
  readonly #littleEndian: boolean;
  #next = 1n;

  constructor(options: { byteOrder?: "little" | "big" } = {}) {
    this.#littleEndian = options.byteOrder !== "big";
  }

  /** The address of a new object; given bytes are used as they are, not copied. */
  allocate(contents: number | Uint8Array): bigint {
    const bytes = typeof contents === "number" ? new Uint8Array(contents) : contents;
    const range = this.#next++;
    this.#objects.set(range, bytes);
    return range << RANGE_BITS;
  }

  release(address: bigint): void {
    this.#objects.delete(address >> RANGE_BITS);
  }

  /** The object's bytes from `address` on. Throws `EvaluationError` beyond the object. */
  bytes(address: bigint, size: number): Uint8Array {
    const object = this.#objects.get(address >> RANGE_BITS);
    const offset = Number(BigInt.asUintN(Number(RANGE_BITS), address));
    if (object === undefined || offset + size > object.byteLength) {
      throw new EvaluationError(`${size} bytes at 0x${address.toString(16)} are outside of every object`);
    }
    return object.subarray(offset, offset + size);
  }

  read(address: bigint, size: number): bigint {
    const bytes = this.bytes(address, size);
    let value = 0n;
    for (let i = 0; i < size; i++) {
      value = (value << 8n) | BigInt(bytes[this.#littleEndian ? size - 1 - i : i] as number);
    }
    return value;
  }

  write(address: bigint, value: bigint, size: number): void {
    const bytes = this.bytes(address, size);
    let rest = value;
    for (let i = 0; i < size; i++) {
      bytes[this.#littleEndian ? i : size - 1 - i] = Number(rest & 0xffn);
      rest >>= 8n;
    }
  }
}
