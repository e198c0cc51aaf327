/**
 * @module
 * Kernel structures: every member access is a CO-RE relocation; through pointers that the verifier trusts a load, through others
 * bpf_probe_read_kernel.
 */
import ts from "typescript";
import type { Inst } from "@skep/ir";
import { fieldSize, type KernelStruct } from "../kernel-types.ts";
import { BOOL, INTS, type IntT, type StructT } from "../types.ts";
import { describe, UNDEFINED, type KernelValue, type Value } from "../values.ts";
import { excerpt, type Cx } from "./cx.ts";
import { checkHelper, checkLicense, helperId } from "./helpers.ts";
import { coreAccess, kernelAddress, RELOCATION } from "./kernel-address.ts";
import { callKernel } from "./kernel-functions.ts";
import { coerce, convert, instOf, typed } from "./ints.ts";
import { asBool, asInt, boolInst, stackRef } from "./memory.ts";

/** The value behind a pointer to `struct`. */
export function kernelPointer(
  ptr: Inst,
  struct: KernelStruct,
  options: Pick<KernelValue, "trusted" | "nullable">,
): KernelValue {
  return { kind: "kernel", ptr, root: struct, path: [], local: 0, type: { kind: "struct", struct }, ...options };
}

function structAt(value: KernelValue): KernelStruct | null {
  return value.type.kind === "struct" ? value.type.struct : null;
}

/** The member's place; nothing is read yet. */
export function kernelPlace(cx: Cx, value: KernelValue, name: string, node: ts.Node): KernelValue {
  const struct = structAt(value);
  const member = struct ? cx.unit.kernel.member(struct, name) : null;
  if (!member) return cx.refuse(node, "noMember", [struct?.name ?? "the kernel's value", name]);
  return { ...value, path: [...value.path, member.index], type: member.type, nullable: false };
}

/** A member as a value: structs and arrays are places in the kernel still. */
export function kernelMember(cx: Cx, value: KernelValue, name: string, node: ts.Node): Value {
  if (value.type.kind === "array" && name === "length") {
    return {
      kind: "int",
      type: null,
      big: false,
      const: BigInt(value.type.length),
      min: 0n,
      max: BigInt(value.type.length),
    };
  }
  return loadKernel(cx, kernelPlace(cx, value, name, node), node);
}

export function kernelElement(cx: Cx, value: KernelValue, index: Value, node: ts.Node): Value {
  const { type } = value;
  if (type.kind !== "array") return cx.refuse(node, "noMember", ["a structure", excerpt(node)]);
  const at = asInt(cx, index, node);
  if (at.const === undefined) return cx.refuse(node, "notConstant", ["an index into a kernel structure"]);
  if (at.const < 0n || (type.length > 0 && at.const >= BigInt(type.length))) {
    cx.refuse(node, "outOfRange", [String(at.const), String(type.length)]);
  }
  const index64 = Number(at.const);
  const local = value.local + index64 * fieldSize(type.element);
  return loadKernel(cx, { ...value, path: [...value.path, index64], type: type.element, local }, node);
}

/** Assigns a member, where the kernel lets programs do so (struct_ops). */
export function storeKernel(cx: Cx, place: KernelValue, value: Value, node: ts.Node): void {
  const { type } = place;
  if (type.kind !== "int" || type.bits !== undefined || !place.trusted)
    return cx.refuse(node, "noPlace", [excerpt(node)]);
  const b = cx.emit(node);
  const size = type.type === BOOL ? 1 : (((type.type as IntT).bits / 8) as 1 | 2 | 4 | 8);
  const inst =
    type.type === BOOL
      ? boolInst(cx, asBool(cx, value, node), node)
      : instOf(cx, coerce(cx, asInt(cx, value, node), type.type as IntT, node), type.type as IntT, node);
  b.store(place.ptr, inst, { size, offset: place.local, space: "kernel", align: size, core: coreAccess(place) });
}

/** Also through pointers that the verifier knows (check_ptr_to_btf_access). */
const READING = "reading the kernel's memory";

/** The bytes that hold a bit field, how many the running kernel says: the other ways are dead to the verifier. */
function loadUnit(cx: Cx, place: KernelValue, node: ts.Node): Inst {
  const b = cx.emit(node);
  const access = coreAccess(place);
  checkLicense(cx, READING, node);
  const size = b.core(RELOCATION.byteSize, { ...access, local: 8n });
  if (!place.trusted) {
    checkHelper(cx, READING, "probe_read_kernel", node);
    const room = stackRef(cx, { kind: "array", name: "bits", element: INTS.u64, length: 1 }, node);
    b.store(room.ptr, b.i64(0), { size: 8, space: "stack" });
    b.helper(helperId("probe_read_kernel"), [room.ptr, size, kernelAddress(cx, place, node)], "i64");
    return b.load(room.ptr, { size: 8, space: "stack", align: 8 });
  }
  const address = kernelAddress(cx, place, node);
  const unit = b.local("unit", "i64");
  b.set(unit, b.i64(0));
  const join = b.block("unit");
  for (const bytes of [1, 2, 4, 8] as const) {
    const [here, next] = [b.block("bytes"), b.block("other")];
    b.branch("eq", [size, b.i64(bytes)], [here, next]);
    const loaded = b.at(here).load(address, { size: bytes, space: "kernel", align: 1 });
    b.set(unit, bytes === 8 ? loaded : b.zext(loaded));
    b.jump(join);
    b.at(next);
  }
  b.jump(join);
  return b.at(join).get(unit);
}

/** A bit field, wherever the running kernel has it (BPF_CORE_READ_BITFIELD of libbpf): shifted up, and down by its sign. */
function loadBits(cx: Cx, place: KernelValue, int: IntT, node: ts.Node): Value {
  const access = coreAccess(place);
  const unit = loadUnit(cx, place, node);
  const b = cx.emit(node);
  const bits = place.type.kind === "int" ? (place.type.bits ?? 0) : 0;
  const high = b.shl(unit, b.core(RELOCATION.leftShift, { ...access, local: BigInt(64 - bits) }));
  const count = b.core(RELOCATION.rightShift, { ...access, local: BigInt(64 - bits) });
  const value = typed(int.signed ? b.ashr(high, count) : b.lshr(high, count), int.signed ? INTS.i64 : INTS.u64);
  return convert(cx, value, int, node);
}

export function loadKernel(cx: Cx, place: KernelValue, node: ts.Node): Value {
  const { type } = place;
  if (type.kind === "int" && type.bits !== undefined && type.type !== BOOL) {
    return loadBits(cx, place, type.type as IntT, node);
  }
  if (type.kind === "struct" || type.kind === "array") return place;
  if (type.kind === "pointer") {
    const ptr = scalar(cx, place, 8, { type: "ptr", node });
    return pointerValue(cx, place, ptr, node);
  }
  if (type.type === BOOL) {
    const b = cx.emit(node);
    return { kind: "bool", inst: b.cmp("ne", scalar(cx, place, 1, { node }), b.i32(0)) };
  }
  const int = type.type as IntT;
  const size = (int.bits / 8) as 1 | 2 | 4 | 8;
  return typed(scalar(cx, place, size, { signed: int.signed, node }), int);
}

function pointerValue(cx: Cx, place: KernelValue, ptr: Inst, node: ts.Node): Value {
  const to = place.type.kind === "pointer" ? place.type.to : null;
  if (to) return kernelPointer(ptr, to, { trusted: place.trusted, nullable: true });
  const b = cx.emit(node);
  return {
    kind: "maybe",
    present: { predicate: "ne", a: ptr, b: b.null() },
    value: typed(b.ptrsub(ptr, b.null()), INTS.u64),
  };
}

/** A pointer in the program's own context is read once, at the entry: what was checked for null is what is used. */
function contextLoad(cx: Cx, place: KernelValue, node: ts.Node): Inst {
  const key = place.path.join(":");
  const known = cx.contextLoads.get(key);
  if (known) return known;
  const b = cx.emit(node);
  const { current } = b;
  const [entry] = b.function.blocks;
  const access = {
    size: 8,
    type: "ptr",
    offset: place.local,
    space: "kernel",
    align: 8,
    core: coreAccess(place),
  } as const;
  const inst = b.at(entry ?? current).load(place.ptr, access);
  b.at(current);
  cx.contextLoads.set(key, inst);
  return inst;
}

interface ScalarOptions {
  readonly type?: "ptr";
  readonly signed?: boolean;
  readonly node: ts.Node;
}

function scalar(cx: Cx, place: KernelValue, size: 1 | 2 | 4 | 8, options: ScalarOptions): Inst {
  const { node } = options;
  const b = cx.emit(node);
  const loading = { size, signed: options.signed ?? false, ...(options.type ? { type: options.type } : {}) };
  if (options.type && cx.context?.ptr === place.ptr && place.path.length === 1) return contextLoad(cx, place, node);
  if (cx.context?.ptr !== place.ptr) checkLicense(cx, READING, node);
  if (place.trusted) {
    return b.load(place.ptr, {
      ...loading,
      offset: place.local,
      space: "kernel",
      align: size,
      core: coreAccess(place),
    });
  }
  checkHelper(cx, READING, "probe_read_kernel", node);
  const room = stackRef(cx, { kind: "array", name: "read", element: INTS.u64, length: 1 }, node);
  b.helper(helperId("probe_read_kernel"), [room.ptr, b.i32(size), kernelAddress(cx, place, node)], "i64");
  return b.load(room.ptr, { ...loading, space: "stack", align: 8 });
}

// ---- builtins ----

function typeArgument(cx: Cx, node: ts.CallExpression): KernelStruct {
  const [argument] = node.typeArguments ?? [];
  const struct = argument ? cx.unit.kernel.structOf(cx.unit.checker.getTypeFromTypeNode(argument)) : null;
  return struct ?? cx.refuse(node, "needsKernelType", [node.expression.getText()]);
}

/** `kernelPointer<T>(address)`. */
function pointerTo(cx: Cx, node: ts.CallExpression): Value {
  const struct = typeArgument(cx, node);
  const [argument] = node.arguments;
  if (!argument) return cx.refuse(node, "wantsInteger", ["kernelPointer()"]);
  const value = convert(cx, asInt(cx, cx.lower.value(cx, argument), argument), INTS.u64, argument);
  const b = cx.emit(node);
  // An address as a pointer: 0 moved by it.
  const ptr = b.ptradd(b.null(), instOf(cx, value, INTS.u64, argument));
  return kernelPointer(ptr, struct, { trusted: false, nullable: true });
}

function currentTask(cx: Cx, node: ts.CallExpression): Value {
  checkHelper(cx, "getCurrentTaskBtf", "get_current_task_btf", node);
  const struct = typeArgument(cx, node);
  const ptr = cx.emit(node).helper(helperId("get_current_task_btf"), [], "ptr");
  return kernelPointer(ptr, struct, { trusted: true, nullable: false });
}

/** The place that an access names, without reading it. */
function placeOf(cx: Cx, node: ts.Expression | undefined, call: ts.Node): KernelValue {
  if (node && ts.isPropertyAccessExpression(node)) {
    const base = cx.lower.value(cx, node.expression);
    if (base.kind === "kernel") return kernelPlace(cx, { ...base, nullable: false }, node.name.text, node);
  }
  const value = node ? cx.lower.value(cx, node) : UNDEFINED;
  return value.kind === "kernel"
    ? value
    : cx.refuse(node ?? call, "wantsType", [describe(value), "a member of a kernel structure"]);
}

/** `pointedTo(type, member)`: what a pointer without a type points to, such as the key and the value of a map's element. */
function pointedTo(cx: Cx, node: ts.CallExpression): Value {
  const [typeNode, memberNode] = node.arguments;
  const type = typeNode ? cx.lower.value(cx, typeNode) : UNDEFINED;
  const isStruct = type.kind === "type" && (type.type.kind === "struct" || type.type.kind === "union");
  if (type.kind !== "type" || !isStruct) return cx.refuse(typeNode ?? node, "wantsType", [describe(type), "a struct"]);
  const place = placeOf(cx, memberNode, node);
  if (place.type.kind !== "pointer") return cx.refuse(memberNode ?? node, "wantsType", ["no pointer", "a pointer"]);
  const ptr = scalar(cx, place, 8, { type: "ptr", node });
  const struct = type.type as StructT;
  return { kind: "ref", type: struct, ptr, offset: 0, space: "unknown", align: struct.align, nullable: true };
}

function addressOf(cx: Cx, node: ts.CallExpression): Value {
  const place = placeOf(cx, node.arguments[0], node);
  const b = cx.emit(node);
  return typed(b.ptrsub(kernelAddress(cx, place, node), b.null()), INTS.u64);
}

function fieldFact(cx: Cx, kind: number, node: ts.CallExpression): Inst {
  const place = placeOf(cx, node.arguments[0], node);
  const local = kind === RELOCATION.exists ? 1n : BigInt(fieldSize(place.type));
  return cx.emit(node).core(kind, { ...coreAccess(place), local });
}

function typeFact(cx: Cx, kind: number, node: ts.CallExpression): Inst {
  const struct = typeArgument(cx, node);
  const local = kind === RELOCATION.typeSize ? BigInt(fieldSize({ kind: "struct", struct })) : 1n;
  return cx.emit(node).core(kind, { typeId: struct.typeId, access: "0", local });
}

const truth = (cx: Cx, inst: Inst, node: ts.Node): Value => {
  const b = cx.emit(node);
  return { kind: "bool", inst: b.cmp("ne", inst, b.i64(0)) };
};

/** `cast<T>(pointer)`: the same pointer as one to another structure, such as a tcp_sock behind a sock. */
function cast(cx: Cx, node: ts.CallExpression): Value {
  const struct = typeArgument(cx, node);
  const [argument] = node.arguments;
  const value = argument ? cx.lower.value(cx, argument) : UNDEFINED;
  if (value.kind !== "kernel" || value.path.length > 0) {
    return cx.refuse(argument ?? node, "wantsType", [describe(value), "a pointer to a kernel structure"]);
  }
  return kernelPointer(value.ptr, struct, { trusted: value.trusted, nullable: value.nullable });
}

/** Helpers that give what is behind a socket or file as a structure of the kernel. */
function skc(helper: string): (cx: Cx, node: ts.CallExpression) => Value {
  return (cx, node) => {
    checkHelper(cx, node.expression.getText(), helper, node);
    const struct = typeArgument(cx, node);
    const [argument] = node.arguments;
    const value = argument ? cx.lower.value(cx, argument) : UNDEFINED;
    const isSocket = value.kind === "ref" && value.space === "kernel";
    if (value.kind !== "kernel" && !isSocket) {
      return cx.refuse(argument ?? node, "wantsType", [describe(value), "a socket"]);
    }
    const ptr = cx.emit(node).helper(helperId(helper), [value.ptr], "ptr");
    return kernelPointer(ptr, struct, { trusted: true, nullable: true });
  };
}

/** `enumValue(cgroup_subsys_id.memory_cgrp_id)`: the number that the running kernel has. */
function enumFact(cx: Cx, kind: number, node: ts.CallExpression): Inst {
  const [argument] = node.arguments;
  if (!argument || !ts.isPropertyAccessExpression(argument)) return cx.refuse(node, "needsKernelType", ["enumValue"]);
  const value = asInt(cx, cx.lower.value(cx, argument), argument);
  if (value.const === undefined) return cx.refuse(argument, "notConstant", [excerpt(argument)]);
  const { typeId, index } = cx.unit.kernel.enumerator(argument.expression.getText(), argument.name.text, value.const);
  const local = kind === RELOCATION.enumExists ? 1n : value.const;
  return cx.emit(node).core(kind, { typeId, access: String(index), local });
}

function lock(kfunc: string): (cx: Cx, node: ts.CallExpression) => Value {
  return (cx, node) => {
    callKernel(cx, kfunc, [], node);
    return UNDEFINED;
  };
}

const BUILTINS: Readonly<Record<string, (cx: Cx, node: ts.CallExpression) => Value>> = {
  kernelPointer: pointerTo,
  getCurrentTaskBtf: currentTask,
  addressOf,
  pointedTo,
  exists: (cx, node) => truth(cx, fieldFact(cx, RELOCATION.exists, node), node),
  sizeOfField: (cx, node) => typed(fieldFact(cx, RELOCATION.byteSize, node), INTS.u64),
  typeExists: (cx, node) => truth(cx, typeFact(cx, RELOCATION.typeExists, node), node),
  typeMatches: (cx, node) => truth(cx, typeFact(cx, RELOCATION.typeMatches, node), node),
  typeSize: (cx, node) => typed(typeFact(cx, RELOCATION.typeSize, node), INTS.u64),
  typeId: (cx, node) => typed(typeFact(cx, RELOCATION.typeId, node), INTS.u64),
  enumValue: (cx, node) => typed(enumFact(cx, RELOCATION.enumValue, node), INTS.u64),
  enumExists: (cx, node) => truth(cx, enumFact(cx, RELOCATION.enumExists, node), node),
  cast,
  skcToTcpSock: skc("skc_to_tcp_sock"),
  skcToTcp6Sock: skc("skc_to_tcp6_sock"),
  skcToTcpTimewaitSock: skc("skc_to_tcp_timewait_sock"),
  skcToTcpRequestSock: skc("skc_to_tcp_request_sock"),
  skcToUdp6Sock: skc("skc_to_udp6_sock"),
  skcToUnixSock: skc("skc_to_unix_sock"),
  skcToMptcpSock: skc("skc_to_mptcp_sock"),
  sockFromFile: skc("sock_from_file"),
  taskPtRegs: skc("task_pt_regs"),
  rcuReadLock: lock("bpf_rcu_read_lock"),
  rcuReadUnlock: lock("bpf_rcu_read_unlock"),
  preemptDisable: lock("bpf_preempt_disable"),
  preemptEnable: lock("bpf_preempt_enable"),
};

export function kernelBuiltin(name: string): ((cx: Cx, node: ts.CallExpression) => Value) | null {
  return BUILTINS[name] ?? null;
}

// ---- arguments of programs whose types the kernel's BTF knows ----

/** Argument `index` of a traced function: the context is an array of 64-bit words. */
export function tracedArgument(cx: Cx, context: Inst, index: number, parameter: ts.ParameterDeclaration): Value {
  const { checker } = cx.unit;
  const type = checker.getTypeAtLocation(parameter);
  const parts = type.isUnion() ? type.types : [type];
  const target = parts.map((part) => cx.unit.kernel.structOf(part)).find((struct) => struct !== null);
  const b = cx.emit(parameter);
  const options = { size: 8, offset: index * 8, space: "ctx" } as const;
  if (target) {
    const nullable = parts.some((part) => (part.flags & ts.TypeFlags.Null) !== 0);
    return kernelPointer(b.load(context, { ...options, type: "ptr" }), target, { trusted: true, nullable });
  }
  const declared = cx.unit.declaredType(type);
  const word = typed(b.load(context, options), INTS.u64);
  if (declared.type?.kind === "bool")
    return { kind: "bool", inst: b.cmp("ne", instOf(cx, word, INTS.u64, parameter), b.i64(0)) };
  return declared.type?.kind === "int" ? convert(cx, word, declared.type, parameter) : word;
}

/** What an iterator program gets: a structure whose members are pointers that the verifier knows. */
export function iteratorContext(cx: Cx, context: Inst, parameter: ts.ParameterDeclaration): Value {
  const struct = cx.unit.kernel.structOf(cx.unit.checker.getTypeAtLocation(parameter));
  if (!struct) return cx.refuse(parameter, "needsKernelType", [parameter.name.getText()]);
  return kernelPointer(context, struct, { trusted: true, nullable: false });
}
