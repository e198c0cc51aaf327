/**
 * @module
 * Memory: fields read and written, literals written in place with their padding, values put on the stack.
 */
import type ts from "typescript";
import type { Inst } from "@skep/ir";
import {
  BOOL,
  INTS,
  maxOf,
  sizeOf,
  valueInt,
  type ArrayT,
  type BitsT,
  type IntT,
  type KptrT,
  type MemoryType,
  type StructT,
} from "../types.ts";
import { constBool, describe, UNDEFINED, type BoolValue, type IntValue, type RefValue, type Value } from "../values.ts";
import { coerce, convert, instOf, typed } from "./ints.ts";
import { Refused } from "../problems.ts";
import { excerpt, type Cx } from "./cx.ts";

type Size = 1 | 2 | 4 | 8;

/** The largest power of two, at most eight, that `align` and `offset` are multiples of. */
export function alignAt(align: number, offset: number): number {
  let best = Math.min(align, 8);
  while (best > 1 && offset % best !== 0) best /= 2;
  return best;
}

export function interior(base: RefValue, type: StructT | ArrayT, offset: number): RefValue {
  return {
    kind: "ref",
    type,
    ptr: base.ptr,
    offset: base.offset + offset,
    space: base.space,
    align: alignAt(base.align, offset),
    nullable: false,
    ...(base.epoch === undefined ? {} : { epoch: base.epoch }),
    ...(base.readOnly ? { readOnly: true } : {}),
  };
}

/** A packet that moved since is read no more. */
export function checkFresh(cx: Cx, base: RefValue, node: ts.Node): void {
  if (base.epoch === undefined) return;
  if (!cx.isFresh(base.epoch)) cx.refuse(node, "stalePacket", [node.getText(), cx.movedBy]);
  cx.packetUses.push({ node, epoch: base.epoch });
}

function loadInt(cx: Cx, base: RefValue, type: IntT, options: { offset: number; node: ts.Node }): IntValue {
  const b = cx.emit(options.node);
  const size = (type.bits / 8) as Size;
  const inst = b.load(base.ptr, {
    size,
    signed: type.signed,
    offset: base.offset + options.offset,
    space: base.space,
    align: Math.min(size, alignAt(base.align, options.offset)),
  });
  if (type.bigEndian && type.bits !== 8) return typed(b.hton(inst, type.bits), valueInt(type));
  return typed(inst, type);
}

function readBits(
  cx: Cx,
  base: RefValue,
  type: BitsT,
  place: { offset: number; shift: number; node: ts.Node },
): IntValue {
  const b = cx.emit(place.node);
  const unit = loadInt(cx, base, type.unit, place);
  const kind = type.unit.bits === 64 ? "i64" : "i32";
  let inst = instOf(cx, unit, type.unit, place.node);
  if (place.shift > 0) inst = b.lshr(inst, b.const(kind, place.shift));
  const mask = (1n << BigInt(type.width)) - 1n;
  if (place.shift + type.width < type.unit.bits) inst = b.and(inst, b.const(kind, mask));
  return typed(inst, type.unit, { min: 0n, max: mask });
}

/** The pointer that a field holds, which another CPU may exchange: it is read, and its members through it. */
function loadKptr(cx: Cx, base: RefValue, type: KptrT, place: { offset: number; node: ts.Node }): Value {
  const b = cx.emit(place.node);
  const offset = base.offset + place.offset;
  const ptr = b.load(base.ptr, { size: 8, type: "ptr", offset, space: base.space, align: 8, volatile: true });
  return kptrTarget(type, ptr);
}

/** What such a pointer points to; null where the field is empty. */
export function kptrTarget(type: KptrT, ptr: Inst): Value {
  if (type.kernel) {
    const struct = type.kernel;
    return {
      ...{ kind: "kernel", ptr, root: struct, path: [], local: 0, type: { kind: "struct", struct } },
      ...{ trusted: true, nullable: true },
    };
  }
  if (!type.to) return UNDEFINED;
  return { kind: "ref", type: type.to, ptr, offset: 0, space: "kernel", align: 8, nullable: true };
}

/** Pointers that nobody owns are stored; the others are exchanged. */
function storeKptr(cx: Cx, base: RefValue, type: KptrT, value: Value, place: { offset: number; node: ts.Node }): void {
  if (type.tag !== "kptr_untrusted") return cx.refuse(place.node, "ownedPointer", [excerpt(place.node)]);
  const b = cx.emit(place.node);
  const fits = value.kind === "kernel" && value.root === type.kernel && value.path.length === 0;
  if (!fits && value.kind !== "null") return cx.refuse(place.node, "wantsType", [describe(value), type.name]);
  const inst = fits ? value.ptr : b.i64(0);
  b.store(base.ptr, inst, { size: 8, offset: base.offset + place.offset, space: base.space, align: 8 });
}

/** What lies at `offset` of `base`: integers are loaded, structs and arrays are references. */
export function read(
  cx: Cx,
  base: RefValue,
  type: MemoryType,
  place: { offset: number; shift: number; node: ts.Node },
): Value {
  checkFresh(cx, base, place.node);
  switch (type.kind) {
    case "int":
      return loadInt(cx, base, type, place);
    case "bits":
      return readBits(cx, base, type, place);
    case "bool": {
      const b = cx.emit(place.node);
      const byte = loadInt(cx, base, INTS.u8, place);
      return { kind: "bool", inst: b.cmp("ne", instOf(cx, byte, INTS.u8, place.node), b.i32(0)) };
    }
    case "kptr":
      return loadKptr(cx, base, type, place);
    default:
      return interior(base, type, place.offset);
  }
}

/** A boolean as 0 or 1. */
export function boolInst(cx: Cx, value: BoolValue, node: ts.Node): Inst {
  if (value.inst) return value.inst;
  return cx.emit(node).i32(value.const ? 1 : 0);
}

/** What an integer's narrowing narrowed away: after a check, the value itself. */
export function present(value: Value): Value {
  return value.kind === "maybe" ? value.value : value;
}

export function asInt(cx: Cx, given: Value, node: ts.Node): IntValue {
  const value = present(given);
  if (value.kind === "int") return value;
  // It was said where the value was to be made.
  if (value.kind === "poison" || (value.kind === "undefined" && cx.refused)) throw new Refused("no value");
  if (value.kind === "bool") {
    if (value.const !== undefined)
      return { kind: "int", type: INTS.u8, big: false, const: value.const ? 1n : 0n, min: 0n, max: 1n };
    return typed(boolInst(cx, value, node), INTS.u8, { min: 0n, max: 1n });
  }
  return cx.refuse(node, "wantsInteger", [describe(value)]);
}

export function asBool(cx: Cx, given: Value, node: ts.Node): BoolValue {
  const value = present(given);
  if (value.kind === "bool") return value;
  if (value.kind === "int" && value.const !== undefined) return constBool(value.const !== 0n);
  if (value.kind === "int") {
    const type = value.type ?? INTS.u64;
    const b = cx.emit(node);
    const inst = instOf(cx, value, type, node);
    return { kind: "bool", inst: b.cmp("ne", inst, b.const(type.bits === 64 ? "i64" : "i32", 0)) };
  }
  return cx.refuse(node, "wantsType", [describe(value), BOOL.name]);
}

function storeInt(cx: Cx, base: RefValue, type: IntT, value: IntValue, place: { offset: number; node: ts.Node }): void {
  const b = cx.emit(place.node);
  const size = (type.bits / 8) as Size;
  const host = valueInt(type);
  let inst = instOf(cx, coerce(cx, value, host, place.node), host, place.node);
  if (type.bigEndian && type.bits !== 8) inst = b.hton(inst, type.bits);
  b.store(base.ptr, inst, {
    size,
    offset: base.offset + place.offset,
    space: base.space,
    align: Math.min(size, alignAt(base.align, place.offset)),
  });
}

/** The value's bits at their place in the unit. */
function shiftedBits(cx: Cx, type: BitsT, value: IntValue, place: { shift: number; node: ts.Node }): Inst {
  const b = cx.emit(place.node);
  const kind = type.unit.bits === 64 ? "i64" : "i32";
  const mask = (1n << BigInt(type.width)) - 1n;
  if (value.min < 0n || value.max > mask) {
    cx.refuse(place.node, "bitFieldOverflow", [describe(value), String(type.width)]);
  }
  const inst = instOf(cx, convert(cx, value, type.unit, place.node), type.unit, place.node);
  return place.shift === 0 ? inst : b.shl(inst, b.const(kind, place.shift));
}

function storeBits(
  cx: Cx,
  base: RefValue,
  type: BitsT,
  value: IntValue,
  place: { offset: number; shift: number; node: ts.Node },
): void {
  const b = cx.emit(place.node);
  const kind = type.unit.bits === 64 ? "i64" : "i32";
  const shifted = shiftedBits(cx, type, value, place);
  const mask = ((1n << BigInt(type.width)) - 1n) << BigInt(place.shift);
  const old = instOf(cx, loadInt(cx, base, type.unit, place), type.unit, place.node);
  const kept = b.and(old, b.const(kind, maxOf(type.unit) & ~mask));
  const size = (type.unit.bits / 8) as Size;
  b.store(base.ptr, b.or(kept, shifted), {
    size,
    offset: base.offset + place.offset,
    space: base.space,
    align: Math.min(size, alignAt(base.align, place.offset)),
  });
}

function copyInto(
  cx: Cx,
  base: RefValue,
  from: RefValue,
  place: { offset: number; size: number; node: ts.Node },
): void {
  checkFresh(cx, from, place.node);
  cx.emit(place.node).copy(base.ptr, from.ptr, {
    bytes: place.size,
    toOffset: base.offset + place.offset,
    fromOffset: from.offset,
    toSpace: base.space,
    fromSpace: from.space,
    align: Math.min(alignAt(base.align, place.offset), from.align),
  });
}

/** Stores an integer, boolean or bit field; copies a struct or array. */
export function writeScalar(
  cx: Cx,
  base: RefValue,
  type: MemoryType,
  value: Value,
  place: { offset: number; shift: number; node: ts.Node },
): void {
  switch (type.kind) {
    case "int":
      storeInt(cx, base, type, asInt(cx, value, place.node), place);
      return;
    case "bits":
      storeBits(cx, base, type, asInt(cx, value, place.node), place);
      return;
    case "bool": {
      const inst = boolInst(cx, asBool(cx, value, place.node), place.node);
      cx.emit(place.node).store(base.ptr, inst, { size: 1, offset: base.offset + place.offset, space: base.space });
      return;
    }
    case "kptr":
      storeKptr(cx, base, type, value, place);
      return;
    default: {
      const ref = value.kind === "ref" ? value : null;
      if (!ref || sizeOf(ref.type) !== sizeOf(type)) {
        cx.refuse(place.node, "wantsType", [describe(value), type.name]);
      }
      if (ref.nullable) cx.refuse(place.node, "mayBeNull", [excerpt(place.node)]);
      copyInto(cx, base, ref, { offset: place.offset, size: sizeOf(type), node: place.node });
    }
  }
}

const STACK = 512;

/** Room on the stack; what is in it is not known. */
export function stackRef(cx: Cx, type: StructT | ArrayT, node: ts.Node, name?: string): RefValue {
  const size = sizeOf(type);
  if (size > STACK) cx.refuse(node, "stackTooLarge", [type.name, String(size)]);
  const ptr = room(cx, size, name ?? type.name, node);
  return { kind: "ref", type, ptr, offset: 0, space: "stack", align: 8, nullable: false };
}

/** Every piece of the stack is an instruction of the entry, so that it may be used again anywhere. */
function room(cx: Cx, size: number, name: string, node: ts.Node): Inst {
  const free = cx.stack.take(size);
  if (free) return free;
  const b = cx.emit(node);
  const { current } = b;
  const [entry] = b.function.blocks;
  const ptr = b.at(entry ?? current).stack(size, 8, name);
  b.at(current);
  cx.stack.add(ptr, size);
  return ptr;
}

/** What lies elsewhere, as memory that may be indexed and given to helpers. */
export function copyToStack(cx: Cx, value: RefValue, node: ts.Node): RefValue {
  if (value.nullable) cx.refuse(node, "mayBeNull", [excerpt(node)]);
  const copy = stackRef(cx, value.type, node);
  writeScalar(cx, copy, value.type, value, { offset: 0, shift: 0, node });
  return copy;
}

/** Through a context and through BTF pointers the kernel takes constant offsets alone. */
export function hasConstantOffsets(value: RefValue): boolean {
  return value.space === "ctx" || value.space === "kernel";
}

export function zeroRef(cx: Cx, ref: RefValue, node: ts.Node): void {
  cx.emit(node).zero(ref.ptr, { bytes: sizeOf(ref.type), offset: ref.offset, space: ref.space, align: ref.align });
}

/** Part of a literal: bytes that are known, a store, or a copy. */
interface Piece {
  readonly offset: number;
  readonly size: number;
  readonly bytes: Uint8Array | null;
  /** Writes what `bytes` does not know. */
  readonly write: (() => void) | null;
}

function bytesOf(value: bigint, size: number, bigEndian: boolean): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at++) {
    const shift = BigInt(8 * (bigEndian ? size - 1 - at : at));
    bytes[at] = Number((value >> shift) & 0xffn);
  }
  return bytes;
}

/** Collects what a literal consists of, then writes it: constants in runs as wide as alignment allows, gaps as zeros. */
export class LiteralWriter {
  readonly cx: Cx;
  readonly base: RefValue;
  #pieces: Piece[] = [];
  /** Bit fields by the offset of their unit. */
  #units = new Map<number, { type: IntT; constant: bigint; dynamic: Inst | null; node: ts.Node }>();

  constructor(cx: Cx, base: RefValue) {
    this.cx = cx;
    this.base = base;
  }

  /** A field's value, that is not itself a literal. */
  add(type: MemoryType, value: Value, place: { offset: number; shift: number; node: ts.Node }): void {
    if (type.kind === "bits") {
      this.#addBits(type, asInt(this.cx, value, place.node), place);
      return;
    }
    const bytes = this.#constant(type, value, place.node);
    const size = sizeOf(type);
    const write = bytes ? null : (): void => writeScalar(this.cx, this.base, type, value, place);
    this.#pieces.push({ offset: place.offset, size, bytes, write });
  }

  #constant(type: MemoryType, value: Value, node: ts.Node): Uint8Array | null {
    const known = present(value);
    if (type.kind === "int" && known.kind === "int" && known.const !== undefined) {
      const host = coerce(this.cx, known, valueInt(type), node);
      return bytesOf(BigInt.asUintN(type.bits, host.const ?? 0n), type.bits / 8, type.bigEndian);
    }
    if (type.kind === "bool" && known.kind === "bool" && known.const !== undefined) {
      return Uint8Array.of(known.const ? 1 : 0);
    }
    if (type.kind === "kptr" && known.kind === "null") return new Uint8Array(8);
    return null;
  }

  #addBits(type: BitsT, value: IntValue, place: { offset: number; shift: number; node: ts.Node }): void {
    const unit = this.#units.get(place.offset) ?? { type: type.unit, constant: 0n, dynamic: null, node: place.node };
    this.#units.set(place.offset, unit);
    const mask = (1n << BigInt(type.width)) - 1n;
    if (value.const !== undefined) {
      if (value.const < 0n || value.const > mask) {
        this.cx.refuse(place.node, "bitFieldOverflow", [describe(value), String(type.width)]);
      }
      unit.constant |= value.const << BigInt(place.shift);
      return;
    }
    const shifted = shiftedBits(this.cx, type, value, place);
    unit.dynamic = unit.dynamic ? this.cx.emit(place.node).or(unit.dynamic, shifted) : shifted;
  }

  #finishUnits(): void {
    for (const [offset, unit] of this.#units) {
      const size = unit.type.bits / 8;
      if (unit.dynamic === null) {
        this.#pieces.push({ offset, size, bytes: bytesOf(unit.constant, size, false), write: null });
        continue;
      }
      const b = this.cx.emit(unit.node);
      const kind = unit.type.bits === 64 ? "i64" : "i32";
      const inst = unit.constant === 0n ? unit.dynamic : b.or(unit.dynamic, b.const(kind, unit.constant));
      const write = (): void =>
        storeInt(this.cx, this.base, unit.type, typed(inst, unit.type), { offset, node: unit.node });
      this.#pieces.push({ offset, size, bytes: null, write });
    }
  }

  /** Writes `size` bytes; what no piece covers is zero. */
  finish(size: number, node: ts.Node): void {
    this.#finishUnits();
    if (this.base.space === "kernel") return this.#writeFields(node);
    const image: (number | null)[] = Array.from({ length: size }, () => 0);
    for (const piece of this.#pieces) {
      for (let at = 0; at < piece.size; at++) image[piece.offset + at] = piece.bytes?.[at] ?? null;
    }
    for (const piece of this.#pieces) piece.write?.();
    this.#writeImage(image, node);
  }

  /** Stores through BTF pointers match the fields (btf_struct_walk in kernel/bpf/btf.c), and have no padding to fill. */
  #writeFields(node: ts.Node): void {
    for (const { bytes, offset, size, write } of this.#pieces) {
      if (bytes === null) write?.();
      else this.#store(bytes, offset, size as Size, node);
    }
  }

  #store(bytes: Uint8Array, offset: number, size: Size, node: ts.Node): void {
    const b = this.cx.emit(node);
    let value = 0n;
    for (let byte = size - 1; byte >= 0; byte--) value = (value << 8n) | BigInt(bytes[byte] ?? 0);
    const inst = b.const(size === 8 ? "i64" : "i32", value);
    b.store(this.base.ptr, inst, { size, offset: this.base.offset + offset, space: this.base.space });
  }

  #writeImage(image: readonly (number | null)[], node: ts.Node): void {
    let at = 0;
    while (at < image.length) {
      if (image[at] === null) {
        at += 1;
        continue;
      }
      let end = at;
      while (end < image.length && image[end] !== null) end += 1;
      this.#writeRun(image.slice(at, end) as number[], at, node);
      at = end;
    }
  }

  #writeRun(bytes: readonly number[], start: number, node: ts.Node): void {
    const b = this.cx.emit(node);
    if (bytes.every((byte) => byte === 0)) {
      const align = alignAt(this.base.align, start);
      b.zero(this.base.ptr, { bytes: bytes.length, offset: this.base.offset + start, space: this.base.space, align });
      return;
    }
    let at = 0;
    while (at < bytes.length) {
      let size = alignAt(this.base.align, start + at);
      while (size > bytes.length - at) size /= 2;
      let value = 0n;
      for (let byte = size - 1; byte >= 0; byte--) value = (value << 8n) | BigInt(bytes[at + byte] ?? 0);
      b.store(this.base.ptr, b.const(size === 8 ? "i64" : "i32", value), {
        size: size as Size,
        offset: this.base.offset + start + at,
        space: this.base.space,
      });
      at += size;
    }
  }
}
