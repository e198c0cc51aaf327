/**
 * @module
 * Codecs as closures over a shape: the plain implementation, and the one for places that forbid generated code.
 */
import type { Member, Shape } from "./shape.ts";
import * as p from "./primitives.ts";

export type Read = (view: DataView, at: number) => unknown;
export type Write = (view: DataView, at: number, value: unknown, path: p.Path) => void;

export function reader(shape: Shape): Read {
  switch (shape.kind) {
    case "int":
      return intReader(shape);
    case "bool":
      return (view, at) => view.getUint8(at) !== 0;
    case "float":
      return shape.size === 4 ? (view, at) => view.getFloat32(at, true) : (view, at) => view.getFloat64(at, true);
    case "text":
      return (view, at) => p.readText(view, at, shape.size);
    case "bytes":
      return (view, at) => p.readBytes(view, at, shape.size);
    case "owned":
      return () => null;
    case "array": {
      const element = reader(shape.element);
      const { length } = shape;
      const step = shape.element.size;
      return (view, at) => Array.from({ length }, (_, index) => element(view, at + index * step));
    }
    case "struct":
    case "union": {
      const into = intoReader(shape.members);
      return (view, at) => {
        const value: Record<string, unknown> = {};
        into(view, at, value);
        return value;
      };
    }
  }
}

function intReader(shape: Extract<Shape, { kind: "int" }>): Read {
  const { signed } = shape;
  const little = !shape.bigEndian;
  switch (shape.size) {
    case 1:
      return signed ? (view, at) => view.getInt8(at) : (view, at) => view.getUint8(at);
    case 2:
      return signed ? (view, at) => view.getInt16(at, little) : (view, at) => view.getUint16(at, little);
    case 4:
      return signed ? (view, at) => view.getInt32(at, little) : (view, at) => view.getUint32(at, little);
    case 8:
      return signed ? (view, at) => view.getBigInt64(at, little) : (view, at) => view.getBigUint64(at, little);
  }
}

type Into = (view: DataView, at: number, target: Record<string, unknown>) => void;

/** `__proto__` is a name like any other in C. */
function define(target: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== "__proto__") target[name] = value;
  else Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true });
}

function intoReader(members: readonly Member[]): Into {
  const steps = members.map(({ name, shape, offset, bits }): Into => {
    if (name === "") {
      const inner = intoReader(membersOf(shape));
      return (view, at, target) => inner(view, at + offset, target);
    }
    const read = bits ? bitReader(bitsOf(shape, bits)) : reader(shape);
    return (view, at, target) => define(target, name, read(view, at + offset));
  });
  return (view, at, target) => {
    for (const step of steps) step(view, at, target);
  };
}

const bitReader =
  (bits: p.Bits): Read =>
  (view, at) =>
    p.readBits(view, at, bits);

export function bitsOf(shape: Shape, bits: NonNullable<Member["bits"]>): p.Bits {
  return { ...bits, signed: shape.kind === "int" && shape.signed, isWide: shape.size === 8 };
}

export function membersOf(shape: Shape): readonly Member[] {
  return shape.kind === "struct" || shape.kind === "union" ? shape.members : [];
}

// ---- writing ----

export function writer(shape: Shape): Write {
  switch (shape.kind) {
    case "int":
      return intWriter(shape);
    case "bool":
      return (view, at, value, path) => view.setUint8(at, p.boolean(value, path));
    case "float":
      return shape.size === 4
        ? (view, at, value, path) => view.setFloat32(at, p.float(value, path), true)
        : (view, at, value, path) => view.setFloat64(at, p.float(value, path), true);
    case "text":
      return (view, at, value, path) => p.writeText(view, at, shape.size, value, path);
    case "bytes":
      return (view, at, value, path) => p.writeBytes(view, at, shape.size, value, path);
    case "owned":
      return (view, at) => view.setBigInt64(at, 0n, true);
    case "array":
      return arrayWriter(shape);
    case "struct":
    case "union": {
      const from = fromWriter(shape);
      return (view, at, value, path) => from(view, at, p.object(value, path), path);
    }
  }
}

function intWriter(shape: Extract<Shape, { kind: "int" }>): Write {
  const { signed, size } = shape;
  const little = !shape.bigEndian;
  if (size === 8) return (view, at, value, path) => view.setBigInt64(at, p.wide(value, path, signed), little);
  const range = p.rangeOf(size, signed);
  if (size === 1) return (view, at, value, path) => view.setUint8(at, p.narrow(value, path, range));
  if (size === 2) return (view, at, value, path) => view.setUint16(at, p.narrow(value, path, range), little);
  return (view, at, value, path) => view.setUint32(at, p.narrow(value, path, range), little);
}

function arrayWriter(shape: Extract<Shape, { kind: "array" }>): Write {
  const element = writer(shape.element);
  const { length } = shape;
  const step = shape.element.size;
  return (view, at, value, path) => {
    const list = p.items(value, path, length);
    for (let index = 0; index < length; index++) element(view, at + index * step, list[index], `${path}[${index}]`);
  };
}

type From = (view: DataView, at: number, source: Record<string, unknown>, path: p.Path) => void;

function memberWriter({ name, shape, offset, bits }: Member): From {
  if (name === "") {
    const inner = fromWriter(shape);
    return (view, at, source, path) => inner(view, at + offset, source, path);
  }
  if (bits) {
    const field = bitsOf(shape, bits);
    return (view, at, source, path) =>
      p.writeBits(view, at + offset, field, p.given(source[name], `${path}.${name}`), `${path}.${name}`);
  }
  const write = writer(shape);
  return (view, at, source, path) =>
    write(view, at + offset, p.given(source[name], `${path}.${name}`), `${path}.${name}`);
}

/** A struct writes all members; a union the first one that is given. */
function fromWriter(shape: Shape): From {
  const list = membersOf(shape);
  const steps = list.map(memberWriter);
  if (shape.kind !== "union")
    return (view, at, source, path) => {
      for (const step of steps) step(view, at, source, path);
    };
  const names = list.map(namesOf);
  return (view, at, source, path) => {
    const index = names.findIndex((each) => each.some((name) => source[name] !== undefined));
    if (index < 0) throw new RangeError(`${path}: one of ${names.flat().join(", ")} is wanted`);
    steps[index]?.(view, at, source, path);
  };
}

/** The names by which a member is given in the object: those of an anonymous one's members. */
export function namesOf(member: Member): string[] {
  return member.name === "" ? membersOf(member.shape).flatMap(namesOf) : [member.name];
}
