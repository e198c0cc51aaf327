/**
 * @module
 * Methods of maps: keys built in place on the stack, values as references into the map.
 */
import ts from "typescript";
import type { Inst } from "@skep/ir";
import { SOCKET } from "../kernel-structs.ts";
import { cellType, INTS, sizeOf, type IntT, type MemoryType, type StructT, type ArrayT } from "../types.ts";
import { arenaMethod } from "./arena.ts";
import { describe, UNDEFINED, type MapValue, type RefValue, type Value } from "../values.ts";
import { pointerOf } from "./bindings.ts";
import { branch, type Cx } from "./cx.ts";
import { coerce, instOf, typed } from "./ints.ts";
import { finishBytes, reserveBytes } from "./dynptr.ts";
import { checkHelper, helperId } from "./helpers.ts";
import { joinSites } from "./join.ts";
import { materialize, materializeExpression, stripParens, writeExpression } from "./literals.ts";
import { asBool, asInt, read, stackRef, zeroRef } from "./memory.ts";

const KEYED = ["get", "set", "delete", "ref", "forEach"] as const;
const METHODS: Readonly<Record<string, readonly string[]>> = {
  hash: KEYED,
  lru_hash: KEYED,
  percpu_hash: [...KEYED, "getOn"],
  lru_percpu_hash: [...KEYED, "getOn"],
  array: KEYED,
  percpu_array: [...KEYED, "getOn"],
  lpm_trie: ["get", "set", "delete", "ref"],
  hash_of_maps: ["get"],
  array_of_maps: ["get"],
  prog_array: ["tailCall"],
  ringbuf: ["emit", "reserve", "submit", "discard", "reserveBytes", "submitBytes", "discardBytes", "query"],
  queue: ["push", "pop", "peek"],
  stack: ["push", "pop", "peek"],
  perf_event_array: ["output"],
  stack_trace: ["id"],
  devmap: ["redirect"],
  devmap_hash: ["redirect"],
  cpumap: ["redirect"],
  xskmap: ["redirect"],
  bloom_filter: ["add", "has"],
  sk_storage: ["get", "delete"],
  task_storage: ["get", "delete"],
  inode_storage: ["get", "delete"],
  cgrp_storage: ["get", "delete"],
  user_ringbuf: ["drain"],
  sockmap: ["get"],
  sockhash: ["get"],
  reuseport_sockarray: ["get"],
  cgroup_storage: ["get"],
  percpu_cgroup_storage: ["get"],
  arena: ["allocate", "free", "at"],
};

export function isMapMethod(type: string, name: string): boolean {
  return METHODS[type]?.includes(name) ?? false;
}

export function mapInst(cx: Cx, map: MapValue, node: ts.Node): Inst {
  return map.inst ?? cx.emit(node).map(map.map.name);
}

const isAggregate = (type: MemoryType): type is StructT | ArrayT =>
  type.kind === "struct" || type.kind === "union" || type.kind === "array";

/** A pointer to an argument of a map's type. */
function memoryOf(cx: Cx, node: ts.Expression | undefined, type: MemoryType | null, call: ts.Node): Inst {
  if (!node || !type) return cx.refuse(call, "wantsMemory", [call.getText()]);
  return pointerOf(cx, materializeExpression(cx, node, type), node);
}

/** What a lookup found: a reference, or an integer that is read at once where it is there. */
function found(cx: Cx, ptr: Inst, type: MemoryType, node: ts.Node): Value {
  const container: StructT | ArrayT = isAggregate(type) ? type : cellType(type);
  const ref: RefValue = { kind: "ref", type: container, ptr, offset: 0, space: "map", align: 8, nullable: true };
  if (isAggregate(type)) return ref;
  const [some, none] = [cx.target("found", node), cx.target("missing", node)];
  const b = cx.emit(node);
  branch(cx, { predicate: "ne", a: ptr, b: b.null() }, [some, none], node);
  b.at(some.block);
  const value = read(cx, ref, type, { offset: 0, shift: 0, node });
  const { epoch } = cx;
  return joinSites(
    cx,
    [
      { block: b.current, value, node, epoch },
      { block: none.block, value: { kind: "null" }, node, epoch },
    ],
    { node },
  );
}

/** What they hold are sockets, which the program has to release. */
const SOCKETS: ReadonlySet<string> = new Set(["sockmap", "sockhash", "reuseport_sockarray"]);

function get(cx: Cx, map: MapValue, node: ts.CallExpression): Value {
  const key = memoryOf(cx, node.arguments[0], map.map.key, node);
  const b = cx.emit(node);
  const ptr = b.helper(helperId("map_lookup_elem"), [mapInst(cx, map, node), key], "ptr");
  if (SOCKETS.has(map.map.type)) {
    return { kind: "ref", type: SOCKET, ptr, offset: 0, space: "kernel", align: 8, nullable: true, readOnly: true };
  }
  if (map.map.inner) return { kind: "map", map: map.map.inner, inst: ptr };
  return found(cx, ptr, map.map.value ?? INTS.u32, node);
}

function ref(cx: Cx, map: MapValue, node: ts.CallExpression): Value {
  const key = memoryOf(cx, node.arguments[0], map.map.key, node);
  const b = cx.emit(node);
  const ptr = b.helper(helperId("map_lookup_elem"), [mapInst(cx, map, node), key], "ptr");
  return {
    kind: "ref",
    type: cellType(map.map.value ?? INTS.u32),
    ptr,
    offset: 0,
    space: "map",
    align: 8,
    nullable: true,
  };
}

const MODES: Readonly<Record<string, bigint>> = { any: 0n, new: 1n, existing: 2n };

function updateMode(cx: Cx, node: ts.Expression): Inst {
  const value = cx.lower.value(cx, node);
  const mode = value.kind === "string" ? MODES[value.text] : undefined;
  if (mode === undefined) return cx.refuse(node, "notConstant", ["the mode of an update"]);
  return cx.emit(node).i64(mode);
}

function set(cx: Cx, map: MapValue, node: ts.CallExpression): Value {
  const key = memoryOf(cx, node.arguments[0], map.map.key, node);
  const value = memoryOf(cx, node.arguments[1], map.map.value, node);
  const b = cx.emit(node);
  const flags = node.arguments[2] ? updateMode(cx, node.arguments[2]) : b.i64(0);
  const inst = b.helper(helperId("map_update_elem"), [mapInst(cx, map, node), key, value, flags], "i64");
  return typed(inst, INTS.i64);
}

function remove(cx: Cx, map: MapValue, node: ts.CallExpression): Value {
  const key = memoryOf(cx, node.arguments[0], map.map.key, node);
  return typed(cx.emit(node).helper(helperId("map_delete_elem"), [mapInst(cx, map, node), key], "i64"), INTS.i64);
}

// ---- rings ----

function ringType(cx: Cx, map: MapValue, node: ts.Node): StructT | ArrayT {
  const type = map.map.value;
  if (!type || !isAggregate(type)) return cx.refuse(node, "wantsMemory", [`the ring ${map.map.name}`]);
  return type;
}

function reserved(cx: Cx, map: MapValue, node: ts.Node): RefValue {
  const type = ringType(cx, map, node);
  const b = cx.emit(node);
  const args = [mapInst(cx, map, node), b.i64(sizeOf(type)), b.i64(0)];
  const ptr = b.helper(helperId("ringbuf_reserve"), args, "ptr");
  return { kind: "ref", type, ptr, offset: 0, space: "map", align: 8, nullable: true };
}

/** `reserve()`: a record that is zero. */
function reserve(cx: Cx, map: MapValue, node: ts.CallExpression): Value {
  const record = reserved(cx, map, node);
  const [some, join] = [cx.target("reserved", node), cx.target("reserve", node)];
  const b = cx.emit(node);
  branch(cx, { predicate: "ne", a: record.ptr, b: b.null() }, [some, join], node);
  b.at(some.block);
  zeroRef(cx, record, node);
  b.jump(join.block);
  b.at(join.block);
  return record;
}

/** `emit(literal)` is written into the ring; memory that is there already is copied by the helper. */
function emit(cx: Cx, map: MapValue, node: ts.CallExpression): Value {
  const [argument] = node.arguments;
  if (!argument) return cx.refuse(node, "wantsMemory", [node.getText()]);
  const type = ringType(cx, map, node);
  const inner = stripParens(argument);
  if (ts.isObjectLiteralExpression(inner) || ts.isArrayLiteralExpression(inner))
    return emitLiteral(cx, map, node, inner);
  const record = materialize(cx, cx.lower.value(cx, argument, type), type, argument);
  const b = cx.emit(node);
  const args = [mapInst(cx, map, node), pointerOf(cx, record, node), b.i64(sizeOf(type)), b.i64(0)];
  const result = b.helper(helperId("ringbuf_output"), args, "i64");
  return { kind: "bool", inst: b.cmp("eq", result, b.i64(0)) };
}

function emitLiteral(cx: Cx, map: MapValue, node: ts.CallExpression, literal: ts.Expression): Value {
  const record = reserved(cx, map, node);
  const [some, none] = [cx.target("reserved", node), cx.target("full", node)];
  const b = cx.emit(node);
  branch(cx, { predicate: "ne", a: record.ptr, b: b.null() }, [some, none], node);
  b.at(some.block);
  writeExpression(cx, { ...record, nullable: false }, record.type, literal);
  b.helper(helperId("ringbuf_submit"), [record.ptr, b.i64(0)]);
  const { epoch } = cx;
  return joinSites(
    cx,
    [
      { block: b.current, value: { kind: "bool", const: true }, node, epoch },
      { block: none.block, value: { kind: "bool", const: false }, node, epoch },
    ],
    { node },
  );
}

function finishRecord(cx: Cx, helper: string, node: ts.CallExpression): Value {
  const [argument] = node.arguments;
  const record = argument ? cx.lower.value(cx, argument) : UNDEFINED;
  if (record.kind !== "ref") return cx.refuse(node, "wantsType", [describe(record), "a reserved record"]);
  const flags = integerArgument(cx, node.arguments[1], INTS.u64);
  const b = cx.emit(node);
  b.helper(helperId(helper), [pointerOf(cx, record, node), flags ?? b.i64(0)]);
  return UNDEFINED;
}

// ---- queues and program arrays ----

function push(cx: Cx, map: MapValue, node: ts.CallExpression): Value {
  const value = memoryOf(cx, node.arguments[0], map.map.value, node);
  const b = cx.emit(node);
  return typed(b.helper(helperId("map_push_elem"), [mapInst(cx, map, node), value, b.i64(0)], "i64"), INTS.i64);
}

function take(cx: Cx, map: MapValue, helper: string, node: ts.CallExpression): Value {
  const type = map.map.value ?? INTS.u32;
  const container: StructT | ArrayT = isAggregate(type) ? type : cellType(type);
  const b = cx.emit(node);
  const base: RefValue = { ...stackRef(cx, container, node), nullable: true };
  const result = b.helper(helperId(helper), [mapInst(cx, map, node), base.ptr], "i64");
  const test = { predicate: "eq", a: result, b: b.i64(0) } as const;
  if (isAggregate(type)) return { ...base, present: test };
  const value = read(cx, base, type, { offset: 0, shift: 0, node });
  return { kind: "maybe", present: test, value };
}

function tailCall(cx: Cx, map: MapValue, node: ts.CallExpression): Value {
  const [contextNode, indexNode] = node.arguments;
  if (!contextNode || !indexNode) return cx.refuse(node, "wantsContext", ["tailCall"]);
  const context = cx.lower.value(cx, contextNode);
  if (context.kind !== "context") return cx.refuse(contextNode, "wantsContext", ["tailCall"]);
  const index = asInt(cx, cx.lower.value(cx, indexNode, INTS.u32), indexNode);
  const b = cx.emit(node);
  const inst = index.const === undefined ? instOf(cx, index, INTS.u32, indexNode) : b.i32(index.const);
  b.helper(helperId("tail_call"), [context.ptr, mapInst(cx, map, node), inst]);
  cx.movePacket("tailCall");
  return UNDEFINED;
}

// ---- others ----

function contextPtr(cx: Cx, node: ts.Expression | undefined, call: ts.CallExpression): Inst {
  const context = node ? cx.lower.value(cx, node) : UNDEFINED;
  return context.kind === "context"
    ? context.ptr
    : cx.refuse(node ?? call, "wantsContext", [call.expression.getText()]);
}

const BPF_F_CURRENT_CPU = 0xffff_ffffn;

function output(cx: Cx, map: MapValue, node: ts.CallExpression): Value {
  checkHelper(cx, "output()", "perf_event_output", node);
  const context = contextPtr(cx, node.arguments[0], node);
  const type = map.map.value ?? INTS.u32;
  const value = memoryOf(cx, node.arguments[1], type, node);
  const b = cx.emit(node);
  const args = [context, mapInst(cx, map, node), b.i64(BPF_F_CURRENT_CPU), value, b.i64(sizeOf(type))];
  return typed(b.helper(helperId("perf_event_output"), args, "i64"), INTS.i64);
}

function integerArgument(cx: Cx, node: ts.Expression | undefined, type: IntT): Inst | null {
  if (!node) return null;
  return instOf(cx, coerce(cx, asInt(cx, cx.lower.value(cx, node, type), node), type, node), INTS.u64, node);
}

function stackId(cx: Cx, map: MapValue, node: ts.CallExpression): Value {
  checkHelper(cx, "id()", "get_stackid", node);
  const context = contextPtr(cx, node.arguments[0], node);
  const b = cx.emit(node);
  const flags = integerArgument(cx, node.arguments[1], INTS.u64) ?? b.i64(0);
  return typed(b.helper(helperId("get_stackid"), [context, mapInst(cx, map, node), flags], "i64"), INTS.i64);
}

function redirectTo(cx: Cx, map: MapValue, node: ts.CallExpression): Value {
  checkHelper(cx, "redirect()", "redirect_map", node);
  const b = cx.emit(node);
  const key = integerArgument(cx, node.arguments[0], INTS.u32) ?? b.i64(0);
  const flags = integerArgument(cx, node.arguments[1], INTS.u64) ?? b.i64(0);
  return typed(b.helper(helperId("redirect_map"), [mapInst(cx, map, node), key, flags], "i32"), INTS.i32);
}

function mayHave(cx: Cx, map: MapValue, node: ts.CallExpression): Value {
  const value = memoryOf(cx, node.arguments[0], map.map.value, node);
  const b = cx.emit(node);
  const result = b.helper(helperId("map_peek_elem"), [mapInst(cx, map, node), value], "i64");
  return { kind: "bool", inst: b.cmp("eq", result, b.i64(0)) };
}

const BPF_SK_STORAGE_GET_F_CREATE = 1n;

/** `get(socket, create, initial)` of a socket's storage. */
function storageGet(cx: Cx, map: MapValue, node: ts.CallExpression): Value {
  const [ownerNode, createNode, initialNode] = node.arguments;
  const owner = ownerOf(cx, ownerNode, node);
  const create = createNode ? asBool(cx, cx.lower.value(cx, createNode), createNode) : { const: false };
  if (create.const === undefined) cx.refuse(createNode ?? node, "notConstant", ["whether a value is made"]);
  const initial = initialNode ? memoryOf(cx, initialNode, map.map.value, node) : null;
  const b = cx.emit(node);
  const flags = b.i64(create.const ? BPF_SK_STORAGE_GET_F_CREATE : 0n);
  const args = [mapInst(cx, map, node), owner, initial ?? b.null(), flags];
  checkHelper(cx, `${map.map.name}.get`, `${map.map.type}_get`, node);
  return found(cx, b.helper(helperId(`${map.map.type}_get`), args, "ptr"), map.map.value ?? INTS.u32, node);
}

function ownerOf(cx: Cx, node: ts.Expression | undefined, call: ts.Node): Inst {
  const owner = node ? cx.lower.value(cx, node) : UNDEFINED;
  if (owner.kind === "ref" && owner.space === "kernel") return pointerOf(cx, owner, node ?? call);
  if (owner.kind === "kernel" && owner.path.length === 0) return owner.ptr;
  return cx.refuse(node ?? call, "wantsType", [describe(owner), "Socket"]);
}

function storageDelete(cx: Cx, map: MapValue, node: ts.CallExpression): Value {
  const owner = ownerOf(cx, node.arguments[0], node);
  return typed(
    cx.emit(node).helper(helperId(`${map.map.type}_delete`), [mapInst(cx, map, node), owner], "i64"),
    INTS.i64,
  );
}

const STORAGES: ReadonlySet<string> = new Set(["sk_storage", "task_storage", "inode_storage", "cgrp_storage"]);

/** The cgroup's own value: of the program's hook, always there. */
function localStorage(cx: Cx, map: MapValue, node: ts.CallExpression): Value {
  checkHelper(cx, `${map.map.name}.get`, "get_local_storage", node);
  const b = cx.emit(node);
  const ptr = b.helper(helperId("get_local_storage"), [mapInst(cx, map, node), b.i64(0)], "ptr");
  const type = map.map.value ?? INTS.u64;
  const container: StructT | ArrayT = isAggregate(type) ? type : cellType(type);
  return { kind: "ref", type: container, ptr, offset: 0, space: "map", align: 8, nullable: false };
}

/** enum of bpf_ringbuf_query. */
const QUERIES: Readonly<Record<string, number>> = { available: 0, size: 1, consumer: 2, producer: 3 };

function query(cx: Cx, map: MapValue, node: ts.CallExpression): Value {
  const [whatNode] = node.arguments;
  const what = whatNode ? cx.lower.value(cx, whatNode) : UNDEFINED;
  const number = what.kind === "string" ? QUERIES[what.text] : undefined;
  if (number === undefined) return cx.refuse(whatNode ?? node, "notConstant", ["what is asked of a ring"]);
  const b = cx.emit(node);
  return typed(b.helper(helperId("ringbuf_query"), [mapInst(cx, map, node), b.i64(number)], "i64"), INTS.u64);
}

/** The value of another CPU. */
function getOn(cx: Cx, map: MapValue, node: ts.CallExpression): Value {
  const key = memoryOf(cx, node.arguments[0], map.map.key, node);
  const b = cx.emit(node);
  const cpu = integerArgument(cx, node.arguments[1], INTS.u32) ?? b.i64(0);
  const ptr = b.helper(helperId("map_lookup_percpu_elem"), [mapInst(cx, map, node), key, cpu], "ptr");
  return found(cx, ptr, map.map.value ?? INTS.u32, node);
}

export function mapMethod(cx: Cx, map: MapValue, name: string, node: ts.CallExpression): Value {
  if (map.map.type === "arena") return arenaMethod(cx, map.map, name, node);
  if (STORAGES.has(map.map.type)) return name === "get" ? storageGet(cx, map, node) : storageDelete(cx, map, node);
  if (map.map.type === "cgroup_storage" || map.map.type === "percpu_cgroup_storage") return localStorage(cx, map, node);
  switch (name) {
    case "output":
      return output(cx, map, node);
    case "id":
      return stackId(cx, map, node);
    case "redirect":
      return redirectTo(cx, map, node);
    case "add":
      return push(cx, map, node);
    case "has":
      return mayHave(cx, map, node);
    case "get":
      return get(cx, map, node);
    case "ref":
      return ref(cx, map, node);
    case "set":
      return set(cx, map, node);
    case "delete":
      return remove(cx, map, node);
    case "emit":
      return emit(cx, map, node);
    case "reserve":
      return reserve(cx, map, node);
    case "submit":
      return finishRecord(cx, "ringbuf_submit", node);
    case "discard":
      return finishRecord(cx, "ringbuf_discard", node);
    case "reserveBytes":
      return reserveBytes(cx, map, mapInst(cx, map, node), node);
    case "submitBytes":
      return finishBytes(cx, "ringbuf_submit_dynptr", node);
    case "discardBytes":
      return finishBytes(cx, "ringbuf_discard_dynptr", node);
    case "query":
      return query(cx, map, node);
    case "getOn":
      return getOn(cx, map, node);
    case "push":
      return push(cx, map, node);
    case "pop":
      return take(cx, map, "map_pop_elem", node);
    case "peek":
      return take(cx, map, "map_peek_elem", node);
    case "tailCall":
      return tailCall(cx, map, node);
    default:
      return cx.refuse(node, "mapMethod", [map.map.type, name]);
  }
}
