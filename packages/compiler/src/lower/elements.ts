/**
 * @module
 * Elements of arrays in memory: constant indices, checked ones, and what the verifier wants of each.
 */
import type ts from "typescript";
import { INTS, sizeOf, type ArrayT, type MemoryType } from "../types.ts";
import {
  constBool,
  constInt,
  UNDEFINED,
  type IntValue,
  type RefValue,
  type SliceValue,
  type Value,
} from "../values.ts";
import { excerpt, type Cx, type Target } from "./cx.ts";
import { convert, instOf, typed } from "./ints.ts";
import { joinSites } from "./join.ts";
import { alignAt, checkFresh, copyToStack, hasConstantOffsets, read } from "./memory.ts";
import { packetEnd } from "./packet.ts";

/** Where an element lies. */
interface Located {
  readonly base: RefValue;
  readonly offset: number;
  /** Where code goes on when the index is outside; null where that cannot be. */
  readonly outside: Target | null;
}

function isInside(cx: Cx, index: IntValue, length: number, node: ts.Node): boolean {
  if (index.const !== undefined && (index.const < 0n || index.const >= BigInt(length))) {
    cx.refuse(node, "outOfRange", [String(index.const), String(length)]);
  }
  return index.min >= 0n && index.max < BigInt(length);
}

/** Goes on where `index < length`, with the index that was compared. */
function guardIndex(cx: Cx, index: IntValue, length: number, way: { outside: Target; node: ts.Node }): IntValue {
  const { outside, node } = way;
  const b = cx.emit(node);
  const inst = instOf(cx, convert(cx, index, INTS.u64, node), INTS.u64, node);
  const inside = cx.target("inside", node);
  inside.reached = true;
  outside.reached = true;
  b.branch("ult", [inst, b.i64(length)], [inside.block, outside.block]);
  b.at(inside.block);
  return typed(inst, INTS.u64, { min: 0n, max: BigInt(length - 1) });
}

/** A pointer that a variable was added to has lost what was known of the packet: it is compared again. */
function guardPacket(cx: Cx, base: RefValue, size: number, way: { outside: Target; node: ts.Node }): void {
  const { outside, node } = way;
  const end = packetEnd(cx, node);
  const b = cx.emit(node);
  const inside = cx.target("inside", node);
  inside.reached = true;
  outside.reached = true;
  b.branch("ule", [b.ptradd(base.ptr, base.offset + size), end], [inside.block, outside.block]);
  b.at(inside.block);
}

/** `asserted`: the author says that the index is inside; where its type says so too, but not to the verifier, it is compared all the same. */
export function locate(cx: Cx, array: RefValue, index: IntValue, how: { asserted: boolean; node: ts.Node }): Located {
  const { node } = how;
  const type = array.type as ArrayT;
  const size = sizeOf(type.element);
  const known = isInside(cx, index, type.length, node);
  const inside = known ? index.soft !== true || (how.asserted && filler(type.element) === UNDEFINED) : how.asserted;
  if (index.const !== undefined) return { base: array, offset: Number(index.const) * size, outside: null };
  if (hasConstantOffsets(array)) cx.refuse(node, "constantOffset", [excerpt(node)]);
  const isPacket = array.space === "packet";
  const outside = inside && !isPacket ? null : cx.target("outside", node);
  const checked = inside || !outside ? index : guardIndex(cx, index, type.length, { outside, node });
  const b = cx.emit(node);
  const at = instOf(cx, convert(cx, checked, INTS.u64, node), INTS.u64, node);
  const ptr = b.ptradd(array.ptr, size === 1 ? at : b.mul(at, b.i64(size)));
  const base = { ...array, ptr, align: alignAt(array.align, size) };
  if (isPacket && outside) guardPacket(cx, base, size, { outside, node });
  return { base, offset: 0, outside };
}

/** What an element is where the verifier alone thinks that the index may be outside. */
function filler(type: MemoryType): Value {
  if (type.kind === "bool") return constBool(false);
  return type.kind === "int" ? constInt(0n, type.bigEndian ? null : type, type.bits === 64) : UNDEFINED;
}

export function readElement(
  cx: Cx,
  given: RefValue,
  index: IntValue,
  how: { asserted: boolean; node: ts.Node },
): Value {
  const { node } = how;
  const array = index.const === undefined && hasConstantOffsets(given) ? copyToStack(cx, given, node) : given;
  const type = array.type as ArrayT;
  checkFresh(cx, array, node);
  const { base, offset, outside } = locate(cx, array, index, how);
  const value = read(cx, base, type.element, { offset, shift: 0, node });
  if (!outside) return value;
  const b = cx.emit(node);
  const { epoch } = cx;
  const inside = isInside(cx, index, type.length, node) || how.asserted;
  const other = inside ? filler(type.element) : UNDEFINED;
  return joinSites(
    cx,
    [
      { block: b.current, value, node, epoch },
      { block: outside.block, value: other, node, epoch },
    ],
    { node },
  );
}

/** The element at a constant index that is inside. */
export function elementAt(cx: Cx, array: RefValue, index: number, node: ts.Node): Value {
  const type = array.type as ArrayT;
  return read(cx, array, type.element, { offset: index * sizeOf(type.element), shift: 0, node });
}

/** The element at an index below the length. */
export function sliceElement(cx: Cx, slice: SliceValue, index: IntValue, node: ts.Node): Value {
  const { element } = slice;
  const size = sizeOf(element);
  const b = cx.emit(node);
  const at = instOf(cx, convert(cx, index, INTS.u64, node), INTS.u64, node);
  const ptr = b.ptradd(slice.ptr, size === 1 ? at : b.mul(at, b.i64(size)));
  const type: ArrayT = { kind: "array", name: element.name, element, length: 1 };
  const base: RefValue = { kind: "ref", type, ptr, offset: 0, space: "unknown", align: size, nullable: false };
  return read(cx, base, element, { offset: 0, shift: 0, node });
}

/** The element at an index that was checked. */
export function elementInside(cx: Cx, array: RefValue, index: IntValue, node: ts.Node): Value {
  return readElement(cx, array, index, { asserted: true, node });
}
