/**
 * @module
 * Dynptrs: memory whose size the verifier does not know (a record of a ring, a packet, a map's value), read and written by helpers.
 */
import type ts from "typescript";
import { DYNPTR } from "../kernel-structs.ts";
import { INTS, sizeOf, type IntT, type StructT } from "../types.ts";
import { describe, UNDEFINED, type MapValue, type RefValue, type Value } from "../values.ts";
import { pointerOf } from "./bindings.ts";
import type { Cx } from "./cx.ts";
import { checkHelper, helperId } from "./helpers.ts";
import { coerce, instOf, typed } from "./ints.ts";
import { callKernel } from "./kernel-functions.ts";
import { materialize } from "./literals.ts";
import { asInt, present, stackRef } from "./memory.ts";

const METHODS: ReadonlySet<string> = new Set([
  "read",
  "write",
  "data",
  "slice",
  "sliceMutable",
  "adjust",
  "isNull",
  "isReadOnly",
  "clone",
]);

export function isDynptr(ref: RefValue): boolean {
  return ref.type === DYNPTR;
}

/** `size`, and what it can do. */
export function dynptrMember(cx: Cx, dynptr: RefValue, name: string, node: ts.Node): Value {
  if (name === "size") {
    return typed(callKernel(cx, "bpf_dynptr_size", [pointerOf(cx, dynptr, node)], node), INTS.u32);
  }
  if (METHODS.has(name)) return { kind: "method", object: dynptr, name };
  return cx.refuse(node, "noMember", ["a dynptr", name]);
}

function integer(cx: Cx, node: ts.Expression | undefined, type: IntT, call: ts.Node) {
  if (!node) return cx.emit(call).const(type === INTS.u32 ? "i32" : "i64", 0);
  return instOf(cx, coerce(cx, asInt(cx, cx.lower.value(cx, node, type), node), type, node), type, node);
}

function memory(cx: Cx, node: ts.Expression | undefined, call: ts.Node): RefValue {
  const value = node ? present(cx.lower.value(cx, node)) : UNDEFINED;
  if (value.kind === "ref") return value;
  if (value.kind === "int" && value.type) return materialize(cx, value, value.type, node ?? call);
  return cx.refuse(node ?? call, "wantsMemory", ["a dynptr"]);
}

function layout(cx: Cx, node: ts.Expression | undefined, call: ts.Node): StructT {
  const value = node ? cx.lower.value(cx, node) : UNDEFINED;
  if (value.kind === "type" && (value.type.kind === "struct" || value.type.kind === "union")) return value.type;
  return cx.refuse(node ?? call, "wantsType", [describe(value), "a struct"]);
}

function read(cx: Cx, dynptr: RefValue, node: ts.CallExpression): Value {
  const target = memory(cx, node.arguments[0], node);
  const b = cx.emit(node);
  const offset = integer(cx, node.arguments[1], INTS.u64, node);
  const args = [pointerOf(cx, target, node), b.i32(sizeOf(target.type)), pointerOf(cx, dynptr, node), offset, b.i64(0)];
  return typed(b.helper(helperId("dynptr_read"), args, "i64"), INTS.i64);
}

function write(cx: Cx, dynptr: RefValue, node: ts.CallExpression): Value {
  const offset = integer(cx, node.arguments[0], INTS.u64, node);
  const source = memory(cx, node.arguments[1], node);
  const b = cx.emit(node);
  const flags = integer(cx, node.arguments[2], INTS.u64, node);
  const args = [pointerOf(cx, dynptr, node), offset, pointerOf(cx, source, node), b.i32(sizeOf(source.type)), flags];
  const inst = b.helper(helperId("dynptr_write"), args, "i64");
  // A packet behind it may have moved.
  if (cx.packet) cx.movePacket("write()");
  return typed(inst, INTS.i64);
}

/** A view of a part: of memory and rings `data`, of packets `slice`, which is null where the part is not in one piece. */
function view(cx: Cx, dynptr: RefValue, name: string, node: ts.CallExpression): Value {
  const type = layout(cx, node.arguments[0], node);
  const b = cx.emit(node);
  const base = pointerOf(cx, dynptr, node);
  const place = { kind: "ref", type, offset: 0, space: "unknown", align: type.align, nullable: true } as const;
  if (name === "data") {
    const offset = integer(cx, node.arguments[1], INTS.u64, node);
    return { ...place, ptr: b.helper(helperId("dynptr_data"), [base, offset, b.i64(type.size)], "ptr") };
  }
  const offset = integer(cx, node.arguments[1], INTS.u32, node);
  const kfunc = name === "slice" ? "bpf_dynptr_slice" : "bpf_dynptr_slice_rdwr";
  const ptr = callKernel(cx, kfunc, [base, offset, b.null(), b.i32(type.size)], node);
  const epoch = dynptr.ofPacket ? { epoch: cx.epoch } : {};
  return { ...place, ptr, ...epoch, ...(name === "slice" ? { readOnly: true } : {}) };
}

export function dynptrMethod(cx: Cx, dynptr: RefValue, name: string, node: ts.CallExpression): Value {
  const b = cx.emit(node);
  switch (name) {
    case "read":
      return read(cx, dynptr, node);
    case "write":
      return write(cx, dynptr, node);
    case "adjust": {
      const [start, end] = [0, 1].map((at) => integer(cx, node.arguments[at], INTS.u32, node));
      if (!start || !end) return cx.refuse(node, "wantsInteger", ["adjust()"]);
      return typed(callKernel(cx, "bpf_dynptr_adjust", [pointerOf(cx, dynptr, node), start, end], node), INTS.i32);
    }
    case "isNull":
    case "isReadOnly": {
      const kfunc = name === "isNull" ? "bpf_dynptr_is_null" : "bpf_dynptr_is_rdonly";
      const flag = callKernel(cx, kfunc, [pointerOf(cx, dynptr, node)], node);
      return { kind: "bool", inst: b.cmp("ne", b.ext(flag, { from: 8, signed: false, to: "i32" }), b.i32(0)) };
    }
    case "clone": {
      const copy = stackRef(cx, DYNPTR, node);
      callKernel(cx, "bpf_dynptr_clone", [pointerOf(cx, dynptr, node), copy.ptr], node);
      return dynptr.ofPacket ? { ...copy, ofPacket: true } : copy;
    }
    default:
      return view(cx, dynptr, name, node);
  }
}

// ---- where they come from ----

function fromContext(cx: Cx, node: ts.CallExpression, kfunc: string): Value {
  const [argument] = node.arguments;
  const context = argument ? cx.lower.value(cx, argument) : UNDEFINED;
  if (context.kind !== "context" && context.kind !== "kernel") {
    return cx.refuse(argument ?? node, "wantsContext", [node.expression.getText()]);
  }
  const made = stackRef(cx, DYNPTR, node);
  callKernel(cx, kfunc, [context.ptr, cx.emit(node).i64(0), made.ptr], node);
  return { ...made, ofPacket: true };
}

function fromMemory(cx: Cx, node: ts.CallExpression): Value {
  checkHelper(cx, "dynptrFromMemory", "dynptr_from_mem", node);
  const source = memory(cx, node.arguments[0], node);
  // bpf_dynptr_from_mem takes no stack (kernel/bpf/verifier.c, process_dynptr_func).
  if (source.space === "stack") cx.refuse(node, "wantsType", ["a value on the stack", "a map"]);
  const made = stackRef(cx, DYNPTR, node);
  const b = cx.emit(node);
  const args = [pointerOf(cx, source, node), b.i32(sizeOf(source.type)), b.i64(0), made.ptr];
  b.helper(helperId("dynptr_from_mem"), args, "i64");
  return made;
}

/** `ring.reserveBytes(size)`: ends in `submitBytes` or `discardBytes` on every path, also where there was no room. */
export function reserveBytes(cx: Cx, map: MapValue, ring: RefValue["ptr"], node: ts.CallExpression): Value {
  if (map.map.type !== "ringbuf") return cx.refuse(node, "mapMethod", [map.map.type, "reserveBytes"]);
  const size = integer(cx, node.arguments[0], INTS.u32, node);
  const made = stackRef(cx, DYNPTR, node);
  const b = cx.emit(node);
  b.helper(helperId("ringbuf_reserve_dynptr"), [ring, size, b.i64(0), made.ptr], "i64");
  return made;
}

export function finishBytes(cx: Cx, helper: string, node: ts.CallExpression): Value {
  const [argument] = node.arguments;
  const value = argument ? cx.lower.value(cx, argument) : UNDEFINED;
  if (value.kind !== "ref" || !isDynptr(value)) return cx.refuse(node, "wantsType", [describe(value), "Dynptr"]);
  const flags = integer(cx, node.arguments[1], INTS.u64, node);
  cx.emit(node).helper(helperId(helper), [pointerOf(cx, value, node), flags]);
  return UNDEFINED;
}

const BUILTINS: Readonly<Record<string, (cx: Cx, node: ts.CallExpression) => Value>> = {
  dynptrFromPacket: (cx, node) =>
    fromContext(cx, node, cx.program.startsWith("xdp") ? "bpf_dynptr_from_xdp" : "bpf_dynptr_from_skb"),
  dynptrFromMemory: fromMemory,
};

export function dynptrBuiltin(name: string): ((cx: Cx, node: ts.CallExpression) => Value) | null {
  return BUILTINS[name] ?? null;
}
