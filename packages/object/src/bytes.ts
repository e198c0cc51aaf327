import { ObjectError } from "./errors.ts";

export type ByteOrder = "little" | "big";

const textDecoder = new TextDecoder("utf-8");
const textEncoder = new TextEncoder();

/** Bounds-checked reads of one region of a file; every read outside throws `ObjectError` `truncated`. */
export class ByteReader {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly little: boolean;
  readonly section: string | undefined;

  constructor(bytes: Uint8Array, byteOrder: ByteOrder, section?: string) {
    // A Buffer's slice() would share memory.
    this.bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.little = byteOrder === "little";
    this.section = section;
  }

  get length(): number {
    return this.bytes.length;
  }

  /** Throws unless `[offset, offset + size)` lies inside. */
  need(offset: number, size: number): void {
    if (offset < 0 || size < 0 || offset + size > this.bytes.length) {
      throw new ObjectError(
        "truncated",
        `${size} bytes at offset ${offset} lie outside of ${this.bytes.length} bytes`,
        {
          ...(this.section === undefined ? {} : { section: this.section }),
          offset,
        },
      );
    }
  }

  u8(offset: number): number {
    this.need(offset, 1);
    return this.view.getUint8(offset);
  }

  u16(offset: number): number {
    this.need(offset, 2);
    return this.view.getUint16(offset, this.little);
  }

  u32(offset: number): number {
    this.need(offset, 4);
    return this.view.getUint32(offset, this.little);
  }

  i32(offset: number): number {
    this.need(offset, 4);
    return this.view.getInt32(offset, this.little);
  }

  u64(offset: number): bigint {
    this.need(offset, 8);
    return this.view.getBigUint64(offset, this.little);
  }

  /** A u64 that must be an exact number: file offsets and sizes. */
  size64(offset: number): number {
    const value = this.u64(offset);
    if (value > 0x1f_ffff_ffff_ffffn) {
      throw new ObjectError("malformed", `${value} is no possible offset or size`, {
        ...(this.section === undefined ? {} : { section: this.section }),
        offset,
      });
    }
    return Number(value);
  }

  slice(offset: number, size: number): Uint8Array {
    this.need(offset, size);
    return this.bytes.subarray(offset, offset + size);
  }
}

/** A growing buffer. */
export class ByteWriter {
  readonly little: boolean;
  private buffer: Uint8Array<ArrayBuffer>;
  private view: DataView;
  private end = 0;

  constructor(byteOrder: ByteOrder, capacity = 256) {
    this.little = byteOrder === "little";
    this.buffer = new Uint8Array(capacity);
    this.view = new DataView(this.buffer.buffer);
  }

  get length(): number {
    return this.end;
  }

  private room(size: number): number {
    const at = this.end;
    this.end += size;
    if (this.end > this.buffer.length) {
      const grown = new Uint8Array(Math.max(this.end, this.buffer.length * 2));
      grown.set(this.buffer);
      this.buffer = grown;
      this.view = new DataView(grown.buffer);
    }
    return at;
  }

  u8(value: number): this {
    const at = this.room(1);
    this.view.setUint8(at, value);
    return this;
  }

  u16(value: number): this {
    const at = this.room(2);
    this.view.setUint16(at, value, this.little);
    return this;
  }

  u32(value: number): this {
    const at = this.room(4);
    this.view.setUint32(at, value, this.little);
    return this;
  }

  u64(value: bigint | number): this {
    const at = this.room(8);
    this.view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), this.little);
    return this;
  }

  append(bytes: Uint8Array): this {
    const at = this.room(bytes.length);
    this.buffer.set(bytes, at);
    return this;
  }

  align(to: number): this {
    while (this.end % to !== 0) this.u8(0);
    return this;
  }

  setU32(offset: number, value: number): void {
    this.view.setUint32(offset, value, this.little);
  }

  /** A copy of what was written. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.buffer.slice(0, this.end);
  }
}

/** The NUL-terminated text at `offset`; null where it is not terminated or starts outside. */
export function cString(bytes: Uint8Array, offset: number): string | null {
  if (offset >= bytes.length) return null;
  const end = bytes.indexOf(0, offset);
  return end < 0 ? null : decodeText(bytes.subarray(offset, end));
}

/** Longer texts are faster through the decoder. */
const SHORT_TEXT = 40;

/** UTF-8; what is none becomes U+FFFD. */
export function decodeText(bytes: Uint8Array): string {
  if (bytes.length > SHORT_TEXT) return textDecoder.decode(bytes);
  let text = "";
  for (const byte of bytes) {
    if (byte >= 0x80) return textDecoder.decode(bytes);
    text += String.fromCharCode(byte);
  }
  return text;
}

export function encodeText(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(textEncoder.encode(text));
}

/** An ELF or BTF string table: offset 0 is the empty string, equal strings share a place. */
export class StringTable {
  private readonly offsets = new Map<string, number>();
  private readonly parts: Uint8Array[] = [];
  private size: number;
  private readonly start: number;

  /** `start`: bytes of the base's table before this one (split BTF); a table of its own starts with the empty string. */
  constructor(start = 0) {
    this.start = start;
    this.size = start;
    this.offsets.set("", 0);
    if (start === 0) {
      this.parts.push(new Uint8Array(1));
      this.size = 1;
    }
  }

  add(text: string): number {
    const known = this.offsets.get(text);
    if (known !== undefined) return known;
    const offset = this.size;
    const bytes = encodeText(text + "\0");
    this.parts.push(bytes);
    this.size += bytes.length;
    this.offsets.set(text, offset);
    return offset;
  }

  finish(): Uint8Array<ArrayBuffer> {
    const out = new Uint8Array(this.size - this.start);
    let at = 0;
    for (const part of this.parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }
}
