import { commands } from "@skep/isa";
import { keepUntilHere, rawBpf, Scratch, SyscallError, withPinned } from "../sys/index.ts";

export type Command = keyof typeof commands;

/**
 * As much of union bpf_attr as any command here fills. A kernel with a smaller one takes it when the rest is zero
 * (bpf_check_uarg_tail_zero, kernel/bpf/syscall.c).
 */
export const ATTRIBUTES_SIZE = 176;

const encoder = new TextEncoder();

/** Bytes of BPF_OBJ_NAME_LEN without the final zero. */
export const NAME_BYTES = 15;

/** What the kernel takes as a name: letters, digits, `_` and `.`, cut to 15 bytes (bpf_obj_name_cpy). */
export function kernelName(name: string): string {
  return name.replaceAll(/[^\w.]/g, "_").slice(0, NAME_BYTES);
}

/**
 * The argument of one bpf(2) command, filled at the kernel's offsets. Keeps every buffer that it points to until the call has
 * returned.
 */
export class Attributes {
  readonly #scratch = new Scratch(ATTRIBUTES_SIZE);
  readonly #kept: Scratch[] = [];
  readonly #pointers: { readonly offset: number; readonly bytes: Uint8Array }[] = [];

  u32(offset: number, value: number): this {
    this.#scratch.view.setUint32(offset, value, true);
    return this;
  }

  i32(offset: number, value: number): this {
    this.#scratch.view.setInt32(offset, value, true);
    return this;
  }

  u64(offset: number, value: bigint): this {
    this.#scratch.view.setBigUint64(offset, value, true);
    return this;
  }

  /** The address of `bytes`; null or an empty buffer is the null pointer. */
  pointer(offset: number, bytes: Uint8Array | null): this {
    if (bytes && bytes.byteLength > 0) this.#pointers.push({ offset, bytes });
    return this;
  }

  /** A pointer to an array of pointers to terminated texts. */
  texts(offset: number, texts: readonly string[]): this {
    const parts = texts.map((text) => encoder.encode(`${text}\0`));
    const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
    const starts: number[] = [];
    let at = 0;
    for (const part of parts) {
      joined.set(part, at);
      starts.push(at);
      at += part.byteLength;
    }
    const block = new Scratch(Math.max(joined.byteLength, 1));
    block.bytes.set(joined);
    const addresses = new BigUint64Array(starts.map((start) => block.address + BigInt(start)));
    this.#kept.push(block);
    return this.pointer(offset, new Uint8Array(addresses.buffer));
  }

  /** A pointer to an array of 64-bit numbers. */
  numbers(offset: number, values: readonly bigint[]): this {
    return this.pointer(offset, new Uint8Array(new BigUint64Array(values).buffer));
  }

  /** A pointer to a terminated text. */
  text(offset: number, text: string): this {
    return this.pointer(offset, encoder.encode(`${text}\0`));
  }

  /** An object's name, in place. */
  name(offset: number, name: string): this {
    this.#scratch.bytes.set(encoder.encode(kernelName(name)), offset);
    return this;
  }

  readU32(offset: number): number {
    return this.#scratch.view.getUint32(offset, true);
  }

  readU64(offset: number): bigint {
    return this.#scratch.view.getBigUint64(offset, true);
  }

  /** The result, or the negated errno. */
  try(command: Command): number {
    const { view, address } = this.#scratch;
    const result = withPinned(
      this.#pointers.map((each) => each.bytes),
      (...addresses) => {
        for (const [at, { offset }] of this.#pointers.entries()) {
          view.setBigUint64(offset, addresses[at] as bigint, true);
        }
        return rawBpf(commands[command], address, ATTRIBUTES_SIZE);
      },
    );
    keepUntilHere(this);
    return result;
  }

  /** Throws `SyscallError`. */
  run(command: Command, detail?: string): number {
    return bpfChecked(command, this.try(command), detail);
  }
}

/** Throws the error of a failed command. `result` is what `try` gave. */
export function bpfChecked(command: Command, result: number, detail?: string): number {
  if (result < 0) throw bpfError(command, -result, detail);
  return result;
}

export function bpfError(command: Command, errno: number, detail?: string): SyscallError {
  return new SyscallError(`bpf(${command.toUpperCase()})`, errno, detail === undefined ? {} : { detail });
}
