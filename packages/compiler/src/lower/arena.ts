/**
 * @module
 * Arenas: addresses of user space as integers, and references to what lies there.
 */
import type ts from "typescript";
import { PROGRAM_KINDS } from "@skep/bpf";
import type { Inst } from "@skep/ir";
import { INTS } from "../types.ts";
import { describe, UNDEFINED, type MapDecl, type Value } from "../values.ts";
import type { Cx } from "./cx.ts";
import { coerce, instOf, typed } from "./ints.ts";
import { callKernel } from "./kernel-functions.ts";
import { asInt } from "./memory.ts";

/** NUMA_NO_NODE */
const ANY_NODE = 0xffff_ffff;

function integer(cx: Cx, node: ts.Expression | undefined, type: "u32" | "u64", call: ts.CallExpression): Inst {
  if (!node) return cx.refuse(call, "wantsInteger", [call.expression.getText()]);
  const value = coerce(cx, asInt(cx, cx.lower.value(cx, node, INTS[type]), node), INTS[type], node);
  return instOf(cx, value, INTS[type], node);
}

/** The kernel's allocator may sleep. */
function checkSleeps(cx: Cx, name: string, node: ts.Node): void {
  const kind = PROGRAM_KINDS[cx.program];
  if (!kind || kind.sleeps || kind.maySleep) return;
  const able = Object.entries(PROGRAM_KINDS).filter(([, one]) => one.sleeps || one.maySleep);
  cx.refuse(node, "wrongProgram", [name, kind.type, able.map(([one]) => one).join(", ")]);
}

function allocate(cx: Cx, map: MapDecl, node: ts.CallExpression): Value {
  checkSleeps(cx, `${map.name}.allocate`, node);
  const pages = integer(cx, node.arguments[0], "u32", node);
  const b = cx.emit(node);
  const args = [b.map(map.name), b.null(), pages, b.i32(ANY_NODE), b.i64(0)];
  return typed(b.ptrsub(callKernel(cx, "bpf_arena_alloc_pages", args, node), b.null()), INTS.u64);
}

function free(cx: Cx, map: MapDecl, node: ts.CallExpression): Value {
  checkSleeps(cx, `${map.name}.free`, node);
  const address = integer(cx, node.arguments[0], "u64", node);
  const pages = integer(cx, node.arguments[1], "u32", node);
  const b = cx.emit(node);
  callKernel(cx, "bpf_arena_free_pages", [b.map(map.name), b.ptradd(b.map(map.name), address), pages], node);
  return UNDEFINED;
}

/** The address is tested, not the pointer: the first byte of an arena may lie where the lower half of the address is 0. */
function at(cx: Cx, map: MapDecl, node: ts.CallExpression): Value {
  const [typeNode, addressNode] = node.arguments;
  const named = typeNode ? cx.lower.value(cx, typeNode) : UNDEFINED;
  if (named.kind !== "type" || (named.type.kind !== "struct" && named.type.kind !== "union")) {
    return cx.refuse(typeNode ?? node, "wantsType", [describe(named), "a struct"]);
  }
  const { type } = named;
  const address = integer(cx, addressNode, "u64", node);
  // Where an arena lies is known when it is mapped.
  if (address.op === "const") return cx.refuse(addressNode ?? node, "unsupported", ["a constant address in an arena"]);
  const b = cx.emit(node);
  const ptr = b.ptradd(b.map(map.name), address);
  const present = { predicate: "ne", a: address, b: b.i64(0) } as const;
  return { kind: "ref", type, ptr, offset: 0, space: "arena", align: type.align, nullable: true, present };
}

export function arenaMethod(cx: Cx, map: MapDecl, name: string, node: ts.CallExpression): Value {
  if (name === "allocate") return allocate(cx, map, node);
  return name === "free" ? free(cx, map, node) : at(cx, map, node);
}
