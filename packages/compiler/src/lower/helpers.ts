/**
 * @module
 * Calls of the kernel's helpers, where they may be called; after those that move packet data the headers read before are stale.
 */
import type ts from "typescript";
import { PROGRAM_KINDS } from "@skep/bpf";
import { helperByName } from "@skep/isa";
import type { Inst } from "@skep/ir";
import { PROBLEMS } from "../diagnostics.ts";
import { helperSupport, isAllowed, namePrograms } from "../helper-support.ts";
import { SOCKET, TCP_SOCKET } from "../kernel-structs.ts";
import { INTS, sizeOf } from "../types.ts";
import { describe, UNDEFINED, type MapDecl, type RefValue, type Value } from "../values.ts";
import { pointerOf } from "./bindings.ts";
import type { Cx } from "./cx.ts";
import { HELPERS, type Parameter, type Signature } from "./helper-table.ts";
import { coerce, convert, instOf, typed } from "./ints.ts";
import { kernelAddress } from "./kernel-address.ts";
import { materialize, materializeExpression } from "./literals.ts";
import { asInt, present } from "./memory.ts";

export function isHelper(name: string): boolean {
  return HELPERS[name] !== undefined;
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

const GPL = new Set(["GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"]);

/** The kernel's list (license_is_gpl_compatible, include/linux/license.h). */
export function isGplCompatible(license: string): boolean {
  return GPL.has(license);
}

/** Tells of what the kernel has for GPL-compatible programs only; once of each, since one line mends them all. */
export function checkLicense(cx: Cx, name: string, node: ts.Node): void {
  const { license, problems } = cx.unit;
  if (isGplCompatible(license)) return;
  const told = problems.list.some(
    ({ code, message }) => code === PROBLEMS.needsGpl.code && message.startsWith(`${name} `),
  );
  if (!told) problems.report(node, "needsGpl", [name, license]);
}

/** Refuses a helper that the kernel would refuse: `name` as the source has it, `helper` as the kernel has it. */
export function checkHelper(cx: Cx, name: string, helper: string, node: ts.Node): void {
  const support = helperSupport(helper);
  const kind = PROGRAM_KINDS[cx.program];
  if (support && kind && !isAllowed(support, cx.program)) {
    cx.refuse(node, "wrongProgram", [name, kind.type, namePrograms(support.programs)]);
  }
  if (support?.gpl) checkLicense(cx, name, node);
}

export function helperId(name: string): number {
  const helper = helperByName(name);
  if (!helper) throw new Error(`no helper ${name}`);
  return helper.id;
}

interface Call {
  readonly name: string;
  readonly node: ts.CallExpression;
  /** The map that was passed: what follows is its key. */
  map: MapDecl | null;
}

function memoryArgument(cx: Cx, value: Value, name: string, node: ts.Node): RefValue {
  const shown = present(value);
  if (shown.kind === "ref") {
    if (shown.space === "arena") cx.refuse(node, "arenaMemory", [name]);
    return shown;
  }
  if (shown.kind === "int" && shown.type) return materialize(cx, shown, shown.type, node);
  return cx.refuse(node, "wantsMemory", [name]);
}

function memoryInsts(cx: Cx, call: Call, parameter: Parameter, node: ts.Expression): Inst[] {
  const b = cx.emit(node);
  if (parameter === "mem" && call.map?.key) return [pointerOf(cx, materializeExpression(cx, node, call.map.key), node)];
  const value = cx.lower.value(cx, node);
  if (parameter === "sized?" && value.kind === "null") return [b.null(), b.i32(0)];
  const ref = memoryArgument(cx, value, call.name, node);
  const ptr = pointerOf(cx, ref, node);
  return parameter === "mem" ? [ptr] : [ptr, b.i32(sizeOf(ref.type))];
}

function contextInst(cx: Cx, call: Call, node: ts.Expression): Inst {
  const value = cx.lower.value(cx, node);
  if (value.kind !== "context") return cx.refuse(node, "wantsContext", [call.name]);
  return value.ptr;
}

/** A socket that a helper gave, or the context where that stands for one. */
function socketInst(cx: Cx, call: Call, node: ts.Expression): Inst {
  const value = cx.lower.value(cx, node);
  if (value.kind === "context") return value.ptr;
  if (value.kind === "ref" && value.space === "kernel") return pointerOf(cx, value, node);
  return cx.refuse(node, "wantsContext", [call.name]);
}

/** A pointer to a kernel structure, or the place of a member that is one. */
function kernelInst(cx: Cx, call: Call, node: ts.Expression): Inst {
  const value = cx.lower.value(cx, node);
  if (value.kind !== "kernel") return cx.refuse(node, "wantsType", [describe(value), "a kernel structure"]);
  if (value.type.kind !== "struct") return cx.refuse(node, "wantsMemory", [call.name]);
  return kernelAddress(cx, value, node);
}

function mapArgument(cx: Cx, call: Call, node: ts.Expression): Inst {
  const value = cx.lower.value(cx, node);
  if (value.kind !== "map") return cx.refuse(node, "wantsType", [describe(value), "a map"]);
  call.map = value.map;
  return value.inst ?? cx.emit(node).map(value.map.name);
}

function textInst(cx: Cx, node: ts.Expression): Inst {
  const value = cx.lower.value(cx, node);
  if (value.kind !== "string") return cx.refuse(node, "notConstant", ["a text"]);
  const { section, offset } = cx.unit.text(value.text);
  return cx.emit(node).data(section, offset);
}

function integerInst(cx: Cx, parameter: "u16" | "u32" | "i32" | "u64" | "net16", node: ts.Expression): Inst {
  const type = parameter === "net16" ? INTS.u16 : INTS[parameter];
  const value = coerce(cx, asInt(cx, cx.lower.value(cx, node, type), node), type, node);
  if (parameter === "net16") return cx.emit(node).hton(instOf(cx, value, type, node), 16);
  // A signed argument is sign-extended: the helper's parameter is 64 bits wide.
  if (parameter === "i32") return instOf(cx, convert(cx, value, INTS.i64, node), INTS.i64, node);
  return instOf(cx, value, type, node);
}

function argument(cx: Cx, call: Call, parameter: Parameter, node: ts.Expression): Inst[] {
  switch (parameter) {
    case "ctx":
      return [contextInst(cx, call, node)];
    case "sock":
      return [socketInst(cx, call, node)];
    case "kernel":
      return [kernelInst(cx, call, node)];
    case "map":
      return [mapArgument(cx, call, node)];
    case "text":
      return [textInst(cx, node)];
    case "mem":
    case "sized":
    case "sized?":
      return memoryInsts(cx, call, parameter, node);
    case "null":
    case "0":
      return [];
    default:
      return [integerInst(cx, parameter, node)];
  }
}

function insts(cx: Cx, call: Call, signature: Signature): Inst[] {
  const given = [...call.node.arguments];
  const b = cx.emit(call.node);
  return signature.parameters.flatMap((parameter) => {
    if (parameter === "null") return [b.null()];
    if (parameter === "0") return [b.i64(0)];
    const node = given.shift();
    return node ? argument(cx, call, parameter, node) : cx.refuse(call.node, "wantsMemory", [call.name]);
  });
}

/** A kernel object that may be null; its fields are read only. */
function socketRef(ptr: Inst, kind: "socket" | "tcpSocket"): RefValue {
  const type = kind === "socket" ? SOCKET : TCP_SOCKET;
  return { kind: "ref", type, ptr, offset: 0, space: "kernel", align: 8, nullable: true, readOnly: true };
}

export function callHelper(cx: Cx, name: string, node: ts.CallExpression): Value {
  const signature = HELPERS[name];
  const helper = helperByName(snakeCase(name));
  if (!signature || !helper) return cx.refuse(node, "notCallableSo", [name]);
  checkHelper(cx, name, helper.name, node);
  const args = insts(cx, { name, node, map: null }, signature);
  const b = cx.emit(node);
  const { returns } = signature;
  if (returns === "socket" || returns === "tcpSocket") return socketRef(b.helper(helper.id, args, "ptr"), returns);
  const type = returns === null ? undefined : returns.bits === 64 ? "i64" : "i32";
  const inst = b.helper(helper.id, args, type);
  if (helper.changesPacketData) cx.movePacket(name);
  return returns ? typed(inst, returns) : UNDEFINED;
}
