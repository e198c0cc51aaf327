/**
 * @module
 * Values to bytes and back, by BTF.
 */
import type { Loose } from "@skep/bpf";
import type { BtfTypes } from "@skep/object";
import { generate } from "./generate.ts";
import { reader, writer } from "./interpret.ts";
import { type Shape, shapeOf } from "./shape.ts";

/**
 * A key's or value's codec: what the types of `@skep/bpf` are, and what `codecOfType` makes from BTF. `encode` throws RangeError where
 * a value does not fit its field or a field is missing; padding is zero. `decode` gives a copy.
 */
export interface ValueCodec<T> {
  /** Bytes. */
  readonly size: number;
  encode(value: Loose<T>): Uint8Array;
  decode(bytes: Uint8Array): T;
}

/** A codec that reads in place, for rings and tables. */
export interface PlacedCodec<T> extends ValueCodec<T> {
  readonly shape: Shape;
  read(view: DataView, at: number): T;
  write(view: DataView, at: number, value: Loose<T>): void;
}

/**
 * How values look: integers up to 32 bits are numbers, of 64 bits and pointers bigints; typedefs named `be16 be32 be64` (and the
 * kernel's `__be16` ...) are host-order values of network-order memory; `bool` is a boolean, `char[n]` a string up to its first zero,
 * other arrays are arrays, structs objects; unions have every view when read and take the first that is given; members of anonymous
 * structs and unions are members of the outer. Throws `ShapeError` for types without a layout.
 */
export function codecOfType<T = unknown>(btf: BtfTypes, typeId: number): PlacedCodec<T> {
  return codecOfShape<T>(shapeOf(btf, typeId));
}

/** `plain`: without generated code. */
export function codecOfShape<T>(shape: Shape, options: { readonly plain?: boolean } = {}): PlacedCodec<T> {
  const made = (options.plain ? null : generate(shape)) ?? { read: reader(shape), write: writer(shape) };
  const { size } = shape;
  const write = (view: DataView, at: number, value: unknown) => made.write(view, at, value, "value");
  return {
    size,
    shape,
    read: made.read as (view: DataView, at: number) => T,
    write,
    encode(value) {
      const bytes = new Uint8Array(size);
      write(new DataView(bytes.buffer), 0, value);
      return bytes;
    },
    decode(bytes) {
      if (bytes.length < size) throw new RangeError(`${size} bytes wanted, got ${bytes.length}`);
      return made.read(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0) as T;
    },
  };
}

/** Where there is no type: the bytes themselves. */
export function bytesCodec(size: number): PlacedCodec<Uint8Array> {
  return codecOfShape<Uint8Array>({ kind: "bytes", size }, { plain: true });
}
