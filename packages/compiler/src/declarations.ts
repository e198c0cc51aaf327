/**
 * @module
 * What a module declares at its top level: types, maps, variables, programs.
 */
import type ts from "typescript";
import { PROGRAM_KINDS } from "@skep/bpf";
import { arrayType, fits, INTS, sizeOf, structType, type MemoryType } from "./types.ts";
import {
  describe,
  UNDEFINED,
  type FunctionValue,
  type MapDecl,
  type ProgramDecl,
  type RecordValue,
  type StructOpsMember,
  type Value,
} from "./values.ts";
import type { KernelFieldType } from "./kernel-types.ts";
import type { Cx } from "./lower/cx.ts";
import { constantBytes } from "./constants.ts";
import { declareObjectField, OBJECT_FIELDS } from "./object-fields.ts";

const MAPS: Readonly<Record<string, string>> = {
  hash: "hash",
  lruHash: "lru_hash",
  percpuHash: "percpu_hash",
  lruPercpuHash: "lru_percpu_hash",
  percpuArray: "percpu_array",
  lpmTrie: "lpm_trie",
  hashOfMaps: "hash_of_maps",
  arrayOfMaps: "array_of_maps",
  progArray: "prog_array",
  queue: "queue",
  stack: "stack",
  devMap: "devmap",
  devMapHash: "devmap_hash",
  cpuMap: "cpumap",
  xskMap: "xskmap",
  sockMap: "sockmap",
  sockHash: "sockhash",
  reuseportSockArray: "reuseport_sockarray",
  cgroupArray: "cgroup_array",
  bloomFilter: "bloom_filter",
};

const OTHERS: ReadonlySet<string> = new Set([
  "struct",
  "union",
  "array",
  "bits",
  "ringBuf",
  "perfEventArray",
  "stackTraces",
  "skStorage",
  "taskStorage",
  "inodeStorage",
  "cgroupStorage",
  "cgroupLocalStorage",
  "percpuCgroupLocalStorage",
  "userRing",
  "arena",
  "config",
  "global",
  "kconfig",
  ...OBJECT_FIELDS,
]);

/** Whether a builtin declares something: its call stands at the top level alone. */
export function isDeclaration(name: string): boolean {
  return MAPS[name] !== undefined || OTHERS.has(name) || PROGRAM_KINDS[name] !== undefined;
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

function argument(cx: Cx, node: ts.CallExpression, at: number): ts.Expression {
  return node.arguments[at] ?? cx.refuse(node, "notConstant", [`argument ${at + 1}`]);
}

function nameOf(cx: Cx, node: ts.CallExpression): string {
  const at = argument(cx, node, 0);
  const value = cx.lower.value(cx, at);
  if (value.kind !== "string") return cx.refuse(at, "notConstant", ["a name"]);
  if (!NAME.test(value.text)) cx.refuse(at, "badName", [value.text]);
  return value.text;
}

function typeOf(cx: Cx, value: Value, node: ts.Node): MemoryType {
  if (value.kind === "type") return value.type;
  return cx.refuse(node, "badStruct", [describe(value)]);
}

function options(cx: Cx, node: ts.Expression | undefined): RecordValue | null {
  if (!node) return null;
  const value = cx.lower.value(cx, node);
  return value.kind === "record" ? value : cx.refuse(node, "notConstant", ["the options"]);
}

function option(record: RecordValue | null, name: string): Value {
  const binding = record?.fields.get(name);
  return binding?.kind === "value" ? binding.value : UNDEFINED;
}

function isSet(record: RecordValue | null, name: string): boolean {
  const value = option(record, name);
  return value.kind === "bool" && value.const === true;
}

function integerOption(cx: Cx, record: RecordValue | null, name: string, node: ts.Node): number | null {
  const value = option(record, name);
  if (value.kind === "undefined") return null;
  if (value.kind !== "int" || value.const === undefined) return cx.refuse(node, "notConstant", [name]);
  if (value.const < 0n || !fits(value.const, INTS.u32)) cx.refuse(node, "badMapOption", [name, String(value.const)]);
  return Number(value.const);
}

// ---- types ----

function declareStruct(cx: Cx, kind: "struct" | "union", node: ts.CallExpression): Value {
  const name = nameOf(cx, node);
  const fieldsNode = argument(cx, node, 1);
  const record = options(cx, fieldsNode);
  const fields = [...(record?.fields.keys() ?? [])].map((field) => {
    if (!NAME.test(field)) cx.refuse(fieldsNode, "badName", [field]);
    return { name: field, type: typeOf(cx, option(record, field), fieldsNode) };
  });
  const settings = options(cx, node.arguments[2]);
  const align = integerOption(cx, settings, "align", node);
  const type = structType(kind, name, fields, {
    packed: isSet(settings, "packed"),
    ...(align === null ? {} : { align }),
  });
  return { kind: "type", type };
}

const MAX_ARRAY = 1n << 24n;

function declareArray(cx: Cx, node: ts.CallExpression, first: Value): Value {
  const element = typeOf(cx, first, argument(cx, node, 0));
  const at = argument(cx, node, 1);
  const length = cx.lower.value(cx, at);
  if (length.kind !== "int" || length.const === undefined)
    return cx.refuse(at, "notConstant", ["the length of an array"]);
  if (length.const < 0n || length.const > MAX_ARRAY) cx.refuse(at, "badArray", [String(length.const)]);
  if (element.kind === "bits") cx.refuse(node, "badStruct", ["an array of bits"]);
  return { kind: "type", type: arrayType(element, Number(length.const)) };
}

function declareBits(cx: Cx, node: ts.CallExpression): Value {
  const unit = typeOf(cx, cx.lower.value(cx, argument(cx, node, 0)), node);
  const width = cx.lower.value(cx, argument(cx, node, 1));
  if (unit.kind !== "int" || unit.signed || unit.bigEndian) return cx.refuse(node, "badStruct", [unit.name]);
  if (width.kind !== "int" || width.const === undefined)
    return cx.refuse(node, "notConstant", ["the width of a bit field"]);
  if (width.const < 1n || width.const > BigInt(unit.bits)) cx.refuse(node, "badBits", [unit.name, String(width.const)]);
  return { kind: "type", type: { kind: "bits", name: unit.name, unit, width: Number(width.const) } };
}

// ---- maps ----

/** Keys of hashes live on a stack of 512 bytes; MAX_BPF_STACK bounds them (kernel/bpf/hashtab.c). */
const MAX_KEY = 512;
const MAX_ENTRIES = 0xffff_ffff;

const INDEXED: ReadonlySet<string> = new Set([
  "array",
  "percpu_array",
  "array_of_maps",
  "prog_array",
  "devmap",
  "devmap_hash",
  "cpumap",
  "xskmap",
  "sockmap",
  "reuseport_sockarray",
  "cgroup_array",
]);
/** Values are file descriptors or numbers of four bytes to user space, and kernel objects behind. */
const REFERRING: ReadonlySet<string> = new Set([
  "prog_array",
  "devmap",
  "devmap_hash",
  "cpumap",
  "xskmap",
  "sockmap",
  "sockhash",
  "reuseport_sockarray",
  "cgroup_array",
]);
const KEYLESS: ReadonlySet<string> = new Set(["queue", "stack", "bloom_filter"]);
const NO_PREALLOC = 1;

function layoutOption(cx: Cx, record: RecordValue | null, name: string, node: ts.Node): MemoryType | null {
  const value = option(record, name);
  return value.kind === "undefined" ? null : typeOf(cx, value, node);
}

function checkMap(cx: Cx, map: MapDecl, node: ts.Node): void {
  if (map.maxEntries < 1 || map.maxEntries > MAX_ENTRIES)
    cx.refuse(node, "badMapOption", ["maxEntries", String(map.maxEntries)]);
  if (map.key && sizeOf(map.key) > MAX_KEY) {
    cx.refuse(node, "keyTooLarge", ["key", String(sizeOf(map.key)), String(MAX_KEY)]);
  }
  if (map.type !== "lpm_trie") return;
  const first = map.key?.kind === "struct" ? map.key.fields[0] : undefined;
  if (first?.type !== INTS.u32) cx.refuse(node, "lpmKey");
}

function innerMap(cx: Cx, record: RecordValue | null, node: ts.Node): MapDecl | null {
  const inner = option(record, "inner");
  if (inner.kind === "undefined") return null;
  return inner.kind === "map" ? inner.map : cx.refuse(node, "wantsType", [describe(inner), "a map"]);
}

function declareMap(cx: Cx, type: string, node: ts.CallExpression): Value {
  const name = nameOf(cx, node);
  const record = options(cx, argument(cx, node, 1));
  const inner = innerMap(cx, record, node);
  const map: MapDecl = {
    name,
    type,
    key: INDEXED.has(type) ? INTS.u32 : KEYLESS.has(type) ? null : layoutOption(cx, record, "key", node),
    value: inner || REFERRING.has(type) ? INTS.u32 : layoutOption(cx, record, "value", node),
    maxEntries: integerOption(cx, record, "maxEntries", node) ?? 0,
    flags: (integerOption(cx, record, "flags", node) ?? 0) | (type === "lpm_trie" ? NO_PREALLOC : 0),
    inner,
    node,
  };
  checkMap(cx, map, node);
  return { kind: "map", map };
}

const STORAGES: Readonly<Record<string, string>> = {
  skStorage: "sk_storage",
  taskStorage: "task_storage",
  inodeStorage: "inode_storage",
  cgroupStorage: "cgrp_storage",
  cgroupLocalStorage: "cgroup_storage",
  percpuCgroupLocalStorage: "percpu_cgroup_storage",
};

/** A map with a shape of its own, which no options say. */
function declareSpecial(cx: Cx, kind: string, node: ts.CallExpression): Value {
  const name = nameOf(cx, node);
  const at = argument(cx, node, 1);
  const base = { name, flags: 0, inner: null, node };
  if (kind === "perfEventArray") {
    const value = typeOf(cx, cx.lower.value(cx, at), at);
    // One buffer per CPU: the loader counts them.
    return { kind: "map", map: { ...base, type: "perf_event_array", key: INTS.u32, value, maxEntries: 0 } };
  }
  const record = options(cx, at);
  const storage = STORAGES[kind];
  if (storage) {
    const value = layoutOption(cx, record, "value", node);
    const local = storage.endsWith("cgroup_storage");
    const key = local ? INTS.u64 : INTS.i32;
    return { kind: "map", map: { ...base, type: storage, key, value, maxEntries: 0, flags: local ? 0 : NO_PREALLOC } };
  }
  if (kind === "userRing") {
    const bytes = integerOption(cx, record, "bytes", node) ?? 0;
    if (bytes < PAGE || (bytes & (bytes - 1)) !== 0) cx.refuse(node, "ringSize", [String(bytes)]);
    return { kind: "map", map: { ...base, type: "user_ringbuf", key: null, value: null, maxEntries: bytes } };
  }
  if (kind === "arena") {
    const pages = integerOption(cx, record, "pages", node) ?? 0;
    if (pages < 1 || pages > MAX_PAGES) cx.refuse(node, "badMapOption", ["pages", String(pages)]);
    return {
      kind: "map",
      map: { ...base, type: "arena", key: null, value: null, maxEntries: pages, flags: MMAPABLE },
    };
  }
  const frames = integerOption(cx, record, "frames", node) ?? 0;
  const maxEntries = integerOption(cx, record, "maxEntries", node) ?? 0;
  if (frames < 1 || frames > MAX_FRAMES) cx.refuse(node, "badMapOption", ["frames", String(frames)]);
  const map = { ...base, type: "stack_trace", key: INTS.u32, value: arrayType(INTS.u64, frames), maxEntries };
  checkMap(cx, map, node);
  return { kind: "map", map };
}

/** sysctl kernel.perf_event_max_stack. */
const MAX_FRAMES = 127;

const PAGE = 4096;
const MMAPABLE = 1 << 10;
/** An arena has less than 4 GiB (arena_map_alloc in kernel/bpf/arena.c). */
const MAX_PAGES = 1 << 20;

function declareRing(cx: Cx, node: ts.CallExpression): Value {
  const name = nameOf(cx, node);
  const at = argument(cx, node, 1);
  const value = typeOf(cx, cx.lower.value(cx, at), at);
  const bytes = integerOption(cx, options(cx, argument(cx, node, 2)), "bytes", node) ?? 0;
  if (bytes < PAGE || (bytes & (bytes - 1)) !== 0) cx.refuse(node, "ringSize", [String(bytes)]);
  const map: MapDecl = { name, type: "ringbuf", key: null, value, maxEntries: bytes, flags: 0, inner: null, node };
  return { kind: "map", map };
}

// ---- variables ----

function declareVariable(cx: Cx, kind: "config" | "global", node: ts.CallExpression): Value {
  const name = nameOf(cx, node);
  const at = argument(cx, node, 1);
  const type = typeOf(cx, cx.lower.value(cx, at), at);
  const valueNode = node.arguments[2];
  const initial = valueNode
    ? constantBytes(cx, type, cx.lower.value(cx, valueNode), valueNode)
    : new Uint8Array(sizeOf(type));
  const isZero = initial.every((byte) => byte === 0);
  const section = kind === "config" ? ".rodata" : isZero ? ".bss" : ".data";
  return { kind: "variable", variable: { name, section, type, initial, node } };
}

/** A setting of the running kernel (CONFIG_*, or LINUX_KERNEL_VERSION): known when the program is loaded. */
function declareKconfig(cx: Cx, node: ts.CallExpression): Value {
  const name = nameOf(cx, node);
  const at = argument(cx, node, 1);
  const type = typeOf(cx, cx.lower.value(cx, at), at);
  const initial = new Uint8Array(sizeOf(type));
  const weak = name.startsWith("CONFIG_");
  return { kind: "variable", variable: { name, section: ".kconfig", type, initial, node, ...(weak ? { weak } : {}) } };
}

// ---- programs ----

const SLEEPABLE = 1 << 4;
const XDP_FRAGS = 1 << 5;

/** The type of what a system call's program is given. */
function argumentType(cx: Cx, node: ts.CallExpression): MemoryType {
  const at = argument(cx, node, 1);
  const type = typeOf(cx, cx.lower.value(cx, at), at);
  return type.kind === "struct" || type.kind === "union" ? type : cx.refuse(at, "wantsMemory", [type.name]);
}

function targetOf(cx: Cx, node: ts.CallExpression): string {
  const at = argument(cx, node, 1);
  const value = cx.lower.value(cx, at);
  return value.kind === "string" ? value.text : cx.refuse(at, "notConstant", ["the target"]);
}

function declareProgram(cx: Cx, kind: string, node: ts.CallExpression): Value {
  const name = nameOf(cx, node);
  const { hasTarget = false, maySleep = false, sleeps = false } = PROGRAM_KINDS[kind] ?? {};
  const target = hasTarget ? targetOf(cx, node) : null;
  const type = kind === "syscall" ? argumentType(cx, node) : null;
  const second = hasTarget || type !== null ? 2 : 1;
  const at = argument(cx, node, second);
  const run = cx.lower.value(cx, at);
  if (run.kind !== "function") return cx.refuse(at, "notCallable", [describe(run)]);
  const settings = options(cx, node.arguments[second + 1]);
  const sleepable = sleeps || (maySleep && isSet(settings, "sleepable"));
  const flags = (isSet(settings, "frags") ? XDP_FRAGS : 0) | (sleepable ? SLEEPABLE : 0);
  const program: ProgramDecl = { name, kind, target, run: named(run, name), flags, node };
  return { kind: "program", program: type ? { ...program, argument: type } : program };
}

/** `structOps<T>(name, members)`: functions become programs, the rest is data. */
function declareStructOps(cx: Cx, node: ts.CallExpression): Value {
  const name = nameOf(cx, node);
  const [typeNode] = node.typeArguments ?? [];
  const struct = typeNode ? cx.unit.kernel.structOf(cx.unit.checker.getTypeFromTypeNode(typeNode)) : null;
  if (!struct) return cx.refuse(node, "needsKernelType", ["structOps"]);
  const at = argument(cx, node, 1);
  const members = [...(options(cx, at)?.fields ?? [])].map(([member, binding]): StructOpsMember => {
    const value = binding.kind === "value" ? binding.value : UNDEFINED;
    if (value.kind === "function") {
      const run = named(value, member);
      return {
        name: member,
        program: { name: member, kind: "structOps", target: member, run, flags: 0, node: value.node },
      };
    }
    const type = dataType(cx.unit.kernel.member(struct, member)?.type);
    if (!type) return cx.refuse(at, "noMember", [struct.name, member]);
    return { name: member, type, bytes: memberBytes(cx, type, value, at) };
  });
  return { kind: "structOps", decl: { name, typeName: struct.name, members, node } };
}

function dataType(type: KernelFieldType | undefined): MemoryType | null {
  if (type?.kind === "int") return type.type;
  const element = type?.kind === "array" ? dataType(type.element) : null;
  return type?.kind === "array" && element ? arrayType(element, type.length) : null;
}

/** A text fills an array of bytes, with at least one zero behind it. */
function memberBytes(cx: Cx, type: MemoryType, value: Value, node: ts.Node): Uint8Array {
  if (value.kind !== "string") return constantBytes(cx, type, value, node);
  const text = new TextEncoder().encode(value.text);
  const bytes = new Uint8Array(sizeOf(type));
  if (type.kind !== "array" || text.length >= bytes.length) cx.refuse(node, "wantsType", [describe(value), type.name]);
  bytes.set(text);
  return bytes;
}

function named(run: FunctionValue, name: string): FunctionValue {
  return { ...run, name };
}

function declare(cx: Cx, name: string, node: ts.CallExpression): Value {
  switch (name) {
    case "struct":
    case "union":
      return declareStruct(cx, name, node);
    case "bits":
      return declareBits(cx, node);
    case "array": {
      const first = cx.lower.value(cx, argument(cx, node, 0));
      return first.kind === "string" ? declareMap(cx, "array", node) : declareArray(cx, node, first);
    }
    case "ringBuf":
      return declareRing(cx, node);
    case "perfEventArray":
    case "stackTraces":
    case "skStorage":
    case "taskStorage":
    case "inodeStorage":
    case "cgroupStorage":
    case "cgroupLocalStorage":
    case "percpuCgroupLocalStorage":
    case "userRing":
    case "arena":
      return declareSpecial(cx, name, node);
    case "config":
    case "global":
      return declareVariable(cx, name, node);
    case "kconfig":
      return declareKconfig(cx, node);
    case "structOps":
      return declareStructOps(cx, node);
    case "kptr":
    case "kptrUntrusted":
    case "percpuKptr":
    case "rbRoot":
    case "listHead":
      return declareObjectField(cx, name, node);
    default: {
      const map = MAPS[name];
      return map ? declareMap(cx, map, node) : declareProgram(cx, name, node);
    }
  }
}

/** The same call is the same type, map or program wherever it is read from. */
export function declareBuiltin(cx: Cx, name: string, node: ts.CallExpression): Value {
  const known = cx.unit.declared.get(node);
  if (known) return known;
  const value = declare(cx, name, node);
  cx.unit.declared.set(node, value);
  return value;
}
