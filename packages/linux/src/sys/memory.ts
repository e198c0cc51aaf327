/**
 * @module
 * Memory that the kernel is handed. A buffer whose address was written into another buffer is garbage as soon as no JavaScript
 * mentions it, even before the call that uses the address: whoever hands out an address keeps the buffer.
 */
import { rawAddress } from "./library.ts";

let last: unknown = null;

/**
 * Keeps `values` alive up to this point: the store cannot be moved before the call that it follows. Nothing overwrites it here,
 * or the optimizer would drop it; so the last values live until the next call.
 */
export function keepUntilHere(values: unknown): void {
  last = values;
}

/** What the last call kept, for tests. */
export function lastKept(): unknown {
  return last;
}

/** Runs `use` with the addresses of `buffers`, which stay alive until it returns. An empty buffer's address is 0. */
export function withPinned<T>(buffers: readonly Uint8Array[], use: (...addresses: bigint[]) => T): T {
  try {
    return use(...buffers.map(rawAddress));
  } finally {
    keepUntilHere(buffers);
  }
}

/**
 * A zeroed buffer that lives off the heap as long as this object, with its address. For objects that call the kernel again and
 * again: keep it in a field.
 */
export class Scratch {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView;
  readonly address: bigint;

  constructor(size: number) {
    this.bytes = new Uint8Array(new ArrayBuffer(size));
    this.view = new DataView(this.bytes.buffer);
    this.address = rawAddress(this.bytes);
  }

  get size(): number {
    return this.bytes.byteLength;
  }
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The text with its terminating zero. Throws where it holds one. */
export function cString(text: string): Uint8Array {
  if (text.includes("\0")) throw new RangeError(`a zero byte in ${JSON.stringify(text)}`);
  return encoder.encode(`${text}\0`);
}

/** The text up to the first zero, or the whole buffer. */
export function fromCString(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
}
