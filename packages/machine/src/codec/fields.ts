/**
 * @module
 * Readers of single fields where a value lies: what counts millions of events a second, and wants three of their fields.
 */
import { generateAt } from "./generate.ts";
import { bitsOf, membersOf, reader } from "./interpret.ts";
import { readBits } from "./primitives.ts";
import { type Shape, ShapeError } from "./shape.ts";

/** Reads one field of the value that begins at `at`. */
export type FieldReader<V> = (view: DataView, at: number) => V;

type Leaf = number | bigint | boolean | string | Uint8Array | readonly unknown[];

/** The fields of a value: `port`, or `key.port` for those of structs in it. */
export type FieldPath<T> = T extends Leaf
  ? never
  : { [K in keyof T & string]: K | `${K}.${FieldPath<T[K]>}` }[keyof T & string];

export type FieldValue<T, P extends string> = P extends keyof T
  ? T[P]
  : P extends `${infer K}.${infer R}`
    ? K extends keyof T
      ? FieldValue<T[K], R>
      : never
    : never;

/** Fields that are integers of 64 bits. */
export type WidePath<T> = {
  [P in FieldPath<T>]: FieldValue<T, P> extends bigint ? P : never;
}[FieldPath<T>];

interface Found {
  readonly shape: Shape;
  readonly offset: number;
  readonly bits?: { readonly shift: number; readonly width: number };
}

function findMember(shape: Shape, name: string): Found | null {
  for (const member of shape.kind === "struct" || shape.kind === "union" ? membersOf(shape) : []) {
    if (member.name === name) return member;
    const inner = member.name === "" ? findMember(member.shape, name) : null;
    if (inner) return { ...inner, offset: member.offset + inner.offset };
  }
  return null;
}

function findField(shape: Shape, path: string): Found {
  let found: Found = { shape, offset: 0 };
  for (const name of path.split(".")) {
    const next = findMember(found.shape, name);
    if (!next) throw new ShapeError(`there is no field ${path}`);
    found = { ...next, offset: found.offset + next.offset };
  }
  return found;
}

/** Throws `ShapeError` where the value has no such field. */
export function fieldReader(shape: Shape, path: string): FieldReader<unknown> {
  const { shape: inner, offset, bits } = findField(shape, path);
  if (bits) {
    const field = bitsOf(inner, bits);
    return (view, at) => readBits(view, at + offset, field);
  }
  const read = reader(inner);
  return generateAt(inner, offset) ?? ((view, at) => read(view, at + offset));
}

const HALF = 0x1_0000_0000;

/** A field of 64 bits as a number, without a bigint: exact up to 2^53. Throws `ShapeError` where there is no such field. */
export function numberReader(shape: Shape, path: string): FieldReader<number> {
  const { shape: inner, offset, bits } = findField(shape, path);
  if (inner.kind !== "int" || inner.size !== 8 || bits) throw new ShapeError(`${path} is no integer of 64 bits`);
  const { bigEndian, signed } = inner;
  const [low, high] = bigEndian ? [offset + 4, offset] : [offset, offset + 4];
  const little = !bigEndian;
  if (signed) return (view, at) => view.getInt32(at + high, little) * HALF + view.getUint32(at + low, little);
  return (view, at) => view.getUint32(at + high, little) * HALF + view.getUint32(at + low, little);
}
