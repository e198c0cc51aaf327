/**
 * @module
 * Direct access to packets: `ctx.header(type, offset)` as the compare that the verifier learns from.
 */
import type ts from "typescript";
import type { FunctionBuilder, Inst } from "@skep/ir";
import { contextShape, type PacketPlace } from "../contexts.ts";
import { INTS, type StructT } from "../types.ts";
import { describe, type ContextValue, type IntValue, type RefValue, type Value } from "../values.ts";
import type { Cx } from "./cx.ts";
import { convert, instOf } from "./ints.ts";
import { asInt } from "./memory.ts";

/** fixed offset + umax of a packet pointer (MAX_PACKET_OFF, kernel/bpf/verifier.c). */
const MAX_PACKET_OFFSET = 0xffffn;

function packetShape(cx: Cx, context: ContextValue, node: ts.Node): PacketPlace {
  return contextShape(context.program)?.packet ?? cx.refuse(node, "wantsContext", ["header()"]);
}

/** The packet's start and end, from the context. */
export function loadPacket(b: FunctionBuilder, context: Inst, shape: PacketPlace): { data: Inst; end: Inst } {
  const options = { size: shape.size ?? 4, type: "ptr", space: "ctx" } as const;
  return {
    data: b.load(context, { ...options, offset: shape.data }),
    end: b.load(context, { ...options, offset: shape.dataEnd }),
  };
}

export function packetData(cx: Cx, context: ContextValue, node: ts.Node): { data: Inst; end: Inst } {
  const shape = packetShape(cx, context, node);
  const b = cx.emit(node);
  // Loaded once at the entry, and good until the packet moves.
  if (cx.packet && cx.isFresh(0)) {
    cx.usesPacket = true;
    return { data: b.get(cx.packet.data), end: b.get(cx.packet.end) };
  }
  return loadPacket(b, context.ptr, shape);
}

/** The packet's end, for a pointer that is compared again. */
export function packetEnd(cx: Cx, node: ts.Node): Inst {
  if (!cx.context) return cx.refuse(node, "wantsContext", ["an index into the packet"]);
  return packetData(cx, cx.context, node).end;
}

/** Splits `x + 14`, so that the constant goes into the access and the verifier sees the variable part alone. */
function splitOffset(offset: IntValue): { variable: Inst | null; constant: bigint } {
  if (offset.const !== undefined) return { variable: null, constant: offset.const };
  const { inst } = offset;
  if (inst?.op === "binary" && inst.binary === "add" && offset.type?.bits === 32) {
    const [variable, added] = inst.args[0]?.op === "const" ? [inst.args[1], inst.args[0]] : inst.args;
    // Only where the sum cannot have wrapped: the value's range says so.
    if (variable && added?.op === "const" && offset.max < 1n << 32n && added.value <= offset.min) {
      return { variable, constant: added.value };
    }
  }
  return { variable: inst ?? null, constant: 0n };
}

/** Remembers how far into the packet a tc program looks, so that its start can be made linear once. */
function noteExtent(cx: Cx, extent: bigint): void {
  const bounded = extent > MAX_LINEAR ? MAX_LINEAR : extent;
  cx.linear = Math.max(cx.linear, Number(bounded));
}

/** What an offset without a bound asks for. */
const MAX_LINEAR = 512n;

function headerType(cx: Cx, value: Value, node: ts.Node): StructT {
  if (value.kind === "type" && (value.type.kind === "struct" || value.type.kind === "union")) return value.type;
  return cx.refuse(node, "wantsType", [describe(value), "a struct"]);
}

/** `ctx.header(type, offset)`. */
export function header(cx: Cx, context: ContextValue, node: ts.CallExpression): Value {
  const [typeNode, offsetNode] = node.arguments;
  if (!typeNode || !offsetNode) return cx.refuse(node, "wantsContext", ["header()"]);
  const type = headerType(cx, cx.lower.value(cx, typeNode), typeNode);
  const offset = asInt(cx, cx.lower.value(cx, offsetNode, INTS.u32), offsetNode);
  if (offset.min < 0n && offset.const !== undefined) cx.refuse(offsetNode, "packetOffset", [String(offset.const)]);
  const size = BigInt(type.size);
  noteExtent(cx, offset.max + size);
  const limit = MAX_PACKET_OFFSET - size;
  if (offset.const !== undefined && offset.const > limit) cx.refuse(offsetNode, "packetOffset", [String(offset.const)]);
  const { data, end } = packetData(cx, context, node);
  const bounded = offset.const !== undefined || (offset.soft !== true && offset.max <= limit && offset.min >= 0n);
  if (!bounded) return guarded(cx, { type, data, end, node }, offset);
  const { variable, constant } = splitOffset(offset);
  return view(cx, { type, data, end, node }, { variable, constant });
}

/** `ctx.metadata(type)`: between data_meta and the packet's start. */
export function metadata(cx: Cx, context: ContextValue, node: ts.CallExpression): Value {
  const [typeNode] = node.arguments;
  const offset = contextShape(context.program)?.metadata;
  if (!typeNode || offset === undefined) return cx.refuse(node, "wantsContext", ["metadata()"]);
  const type = headerType(cx, cx.lower.value(cx, typeNode), typeNode);
  const b = cx.emit(node);
  const { data } = packetData(cx, context, node);
  const ptr = b.load(context.ptr, { size: 4, type: "ptr", space: "ctx", offset });
  const present = { predicate: "ule", a: b.ptradd(ptr, type.size), b: data } as const;
  const place = { kind: "ref", type, ptr, offset: 0, space: "packet", align: type.align } as const;
  return { ...place, nullable: true, present, epoch: cx.epoch };
}

interface Packet {
  readonly type: StructT;
  readonly data: Inst;
  readonly end: Inst;
  readonly node: ts.Node;
}

/** base + variable first, then the fixed end of the header against the packet's end. */
function view(cx: Cx, packet: Packet, at: { variable: Inst | null; constant: bigint }): RefValue {
  const { type, data, end, node } = packet;
  const b = cx.emit(node);
  const wide = at.variable === null ? null : at.variable.type === "i64" ? at.variable : b.zext(at.variable);
  const ptr = wide === null ? data : b.ptradd(data, wide);
  const last = b.ptradd(ptr, at.constant + BigInt(type.size));
  return {
    kind: "ref",
    type,
    ptr,
    offset: Number(at.constant),
    space: "packet",
    align: type.align,
    nullable: true,
    present: { predicate: "ule", a: last, b: end },
    epoch: cx.epoch,
  };
}

/** An offset of which nothing is known is bounded first: no packet is longer than what the verifier allows. */
function guarded(cx: Cx, packet: Packet, offset: IntValue): Value {
  const { type, node, end } = packet;
  const b = cx.emit(node);
  const wide = instOf(cx, convert(cx, offset, INTS.u64, node), INTS.u64, node);
  const local = b.local("header", "ptr");
  const [near, inside, absent, join] = [b.block("near"), b.block("inside"), b.block("absent"), b.block("header")];
  const limit = Number(MAX_PACKET_OFFSET) - type.size;
  b.branch("ule", [wide, b.i64(Math.min(limit, 0x7fff))], [near, absent]);
  b.at(near);
  const ref = view(cx, packet, { variable: wide, constant: 0n });
  if (!ref.present) return ref;
  b.branch("ule", [ref.present.a, end], [inside, absent]);
  b.at(inside).set(local, ref.ptr);
  b.jump(join);
  b.at(absent).set(local, b.null());
  b.jump(join);
  const ptr = b.at(join).get(local);
  return { ...withoutTest(ref), ptr };
}

function withoutTest(ref: RefValue): RefValue {
  const { present: _present, ...rest } = ref;
  return rest;
}

/** Length of an XDP packet: there is no field for it. */
export function packetLength(cx: Cx, context: ContextValue, node: ts.Node): Value {
  const { data, end } = packetData(cx, context, node);
  const b = cx.emit(node);
  return {
    kind: "int",
    type: INTS.u32,
    big: false,
    inst: b.trunc(b.ptrsub(end, data)),
    min: 0n,
    max: MAX_PACKET_OFFSET,
    soft: true,
  };
}
