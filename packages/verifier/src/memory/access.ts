/**
 * @module
 * A load or store through a pointer of any kind (check_mem_access, kernel/bpf/verifier.c).
 */
import type { Env } from "../env.ts";
import { MAX_OFFSET } from "../env.ts";
import type { Kind } from "../register.ts";
import type { Reg } from "../register.ts";
import { S64_MIN, UNKNOWN, constantWords, flag, kind, pointer } from "../register.ts";
import { truncate } from "../scalar/bounds.ts";
import { signExtend } from "../scalar/arithmetic.ts";
import type { MapInfo, SpecialField } from "../program/maps.ts";
import { hidesAddresses, refuseAddress } from "../privilege/privilege.ts";
import { describeReg, kindName } from "../explain/describe.ts";
import { loadContext, storeContext } from "./context.ts";
import { accessKernelObject, kernelTypeOf } from "./kernel-object.ts";
import { accessSocket } from "./socket.ts";
import { readStack, writeStack } from "./stack.ts";

export interface Access {
  /** The register that holds the pointer. */
  readonly register: number;
  readonly off: number;
  readonly size: number;
}

/** Registers of which nothing is known but their size, by size. */
const unknownOf: Reg[] = [];
for (const size of [1, 2, 4, 8]) {
  const reg = UNKNOWN.clone();
  truncate(reg, size);
  unknownOf[size] = reg;
}

export function unknownOfSize(size: number): Reg {
  return unknownOf[size] ?? UNKNOWN;
}

/** What a load gives. `extend`: the loaded bytes carry a sign. */
export function load(env: Env, access: Access, extend = false): Reg {
  const ptr = env.read(access.register);
  notePointer(env, ptr);
  const loaded = loadFrom(env, ptr, access);
  if (extend && ptr.kind === kind.context && loaded.kind !== kind.scalar)
    env.refuse("context-access", `the pointer at ${access.off} of the context is read with a sign`);
  if (loaded.kind !== kind.scalar || access.size === 8) return loaded;
  if (extend) {
    const reg = loaded.clone();
    if (loaded === UNKNOWN) truncate(reg, access.size);
    signExtend(reg, access.size * 8, true);
    reg.id = 0;
    return reg;
  }
  if (loaded === UNKNOWN) return unknownOfSize(access.size);
  if (loaded.umax < 2 ** (access.size * 8)) return loaded;
  const reg = loaded.clone();
  truncate(reg, access.size);
  return reg;
}

/** Paths that meet at an instruction must load through pointers that the kernel handles alike (save_aux_ptr_type). */
function notePointer(env: Env, ptr: Reg): void {
  const { pointerKind } = env.knowledge;
  const known = pointerKind[env.at] as number;
  const special = isSpecial(ptr.kind);
  const own = special ? ptr.kind : 255;
  if (known === 0) pointerKind[env.at] = own;
  else if (known !== own) env.refuse("not-a-pointer", "the same instruction is used with different kinds of pointers");
}

function isSpecial(what: Kind): boolean {
  return (
    what === kind.context ||
    what === kind.socket ||
    what === kind.sockCommon ||
    what === kind.tcpSock ||
    what === kind.xdpSock ||
    what === kind.btf ||
    what === kind.arena
  );
}

function loadFrom(env: Env, ptr: Reg, access: Access): Reg {
  switch (ptr.kind) {
    case kind.stack:
      return readStack(env, ptr, access.off, access.size);
    case kind.mapValue:
      if (refuseNull(env, ptr, access)) return UNKNOWN;
      return loadValue(env, ptr, access);
    case kind.context:
      return loadContext(env, ptr, access);
    case kind.socket:
    case kind.sockCommon:
    case kind.tcpSock:
    case kind.xdpSock:
      if (refuseNull(env, ptr, access)) return UNKNOWN;
      return accessSocket(env, ptr, access, false);
    case kind.map:
      return loadMap(env, ptr, access);
    case kind.btf:
      if ((ptr.flags & flag.maybeNull) !== 0 && refuseNull(env, ptr, access)) return UNKNOWN;
      return accessKernelObject(env, ptr, access, false);
    default:
      checkPlain(env, ptr, access, false);
      return UNKNOWN;
  }
}

function refuseNull(env: Env, ptr: Reg, access: Access): boolean {
  if (!ptr.mayBeNull) return false;
  env.refuse("maybe-null", `r${access.register} may be null (${kindName(ptr)})`, nullExample(ptr, access.register));
  return true;
}

/** How the pointer comes to be null. */
export function nullExample(ptr: Reg, register: number): string {
  return ptr.map === null ? `r${register} = 0` : `a key that is not in ${ptr.map.name}: r${register} = 0`;
}

/** Memory that gives only numbers: packets, values, buffers. */
function checkPlain(env: Env, ptr: Reg, access: Access, writes: boolean): void {
  switch (ptr.kind) {
    case kind.packet:
    case kind.packetMeta:
      checkPacket(env, ptr, access);
      break;
    case kind.mapKey:
      if (writes) env.refuse("read-only", "a map's key is written");
      checkRegion(env, ptr, { ...access, limit: ptr.map?.keySize ?? 0, what: "the map's key" });
      break;
    case kind.memory:
      if (refuseNull(env, ptr, access)) return;
      if (writes && (ptr.flags & flag.readOnly) !== 0)
        env.refuse("read-only", `r${access.register} is memory that may only be read`);
      checkRegion(env, ptr, { ...access, limit: ptr.size, what: "the memory" });
      break;
    case kind.flowKeys:
      if (!ptr.isConst || access.off + ptr.off < 0 || access.off + ptr.off + access.size > 56) {
        env.refuse("memory-bounds", `${access.size} bytes at ${access.off + ptr.off} of the flow keys' 56`);
      }
      break;
    case kind.buffer:
      if (refuseNull(env, ptr, access)) return;
      if (writes && (ptr.flags & flag.readOnly) !== 0)
        env.refuse("read-only", `r${access.register} is memory that may only be read`);
      if (access.off + ptr.off < 0) env.refuse("negative-offset", "a negative offset into the buffer");
      if (!ptr.isConst || ptr.vl !== 0) env.refuse("unbounded-offset", "a variable offset into the buffer");
      break;
    case kind.arena:
      break;
    case kind.none:
      break;
    default:
      env.refuse("not-a-pointer", `r${access.register} (${kindName(ptr)}) is no pointer to memory`);
  }
}

export function checkPacket(env: Env, ptr: Reg, access: Access): void {
  if (ptr.smin < 0)
    env.refuse("negative-offset", `the offset of r${access.register} can be negative (${describeReg(ptr)})`);
  const start = access.off + ptr.off;
  const end = start + access.size;
  if (start < 0 || end > ptr.size || ptr.size < 0) {
    env.refuse(
      "packet-bounds",
      `bytes ${start} to ${end} of the packet are read or written, ${Math.max(ptr.size, 0)} are known to be there`,
      start < 0
        ? null
        : `a packet that ends ${Math.max(ptr.size, 0)} bytes behind where r${access.register}'s base points`,
    );
  }
}

function negativeExample(ptr: Reg, register: number): string {
  return `a variable offset of ${ptr.smax < 0 ? ptr.smax : -1} in r${register}`;
}

export interface Region {
  readonly register: number;
  readonly off: number;
  readonly size: number;
  readonly limit: number;
  readonly what: string;
}

/** A variable offset within memory of known size (check_mem_region_access). */
export function checkRegion(env: Env, ptr: Reg, region: Region): void {
  const off = region.off + ptr.off;
  const { size, limit, what } = region;
  const rule = ptr.kind === kind.mapValue ? "value-bounds" : "memory-bounds";
  if (ptr.smin < 0 && (ptr.smin === S64_MIN || ptr.smin + off < -0x8000_0000 || off + ptr.smin < 0)) {
    env.refuse(
      "negative-offset",
      `the offset of r${region.register} into ${what} can be negative (${describeReg(ptr)})`,
      negativeExample(ptr, region.register),
    );
  }
  if (off + ptr.smin < 0 || off + ptr.smin + size > limit) {
    env.refuse(rule, `${size} bytes at ${off + ptr.smin} are outside of ${what} of ${limit} bytes`);
  }
  if (ptr.umax >= MAX_OFFSET) {
    env.refuse(
      "unbounded-offset",
      `the offset of r${region.register} into ${what} has no upper bound (${describeReg(ptr)})`,
    );
  }
  if (off + ptr.umax + size > limit) {
    const example = `a variable offset of ${Math.max(ptr.umin, limit - off - size + 1)} in r${region.register}`;
    env.refuse(rule, `up to byte ${off + ptr.umax + size} of ${what} of ${limit} bytes is used`, example);
  }
}

function checkValue(env: Env, ptr: Reg, access: Access, writes: boolean): void {
  const { map } = ptr;
  if (map === null) return;
  if (writes && map.programReadOnly) env.refuse("read-only", `map ${map.name} may only be read`);
  if (!writes && map.programWriteOnly) env.refuse("write-only", `map ${map.name} may only be written`);
  checkRegion(env, ptr, { ...access, limit: map.valueSize, what: `the value of ${map.name}` });
}

/** The special field that an access touches. */
function touchedField(map: MapInfo, ptr: Reg, access: Access): SpecialField | null {
  const from = access.off + ptr.off + ptr.smin;
  const to = access.off + ptr.off + ptr.umax + access.size;
  for (const field of map.fields) if (from < field.offset + field.size && to > field.offset) return field;
  return null;
}

function loadValue(env: Env, ptr: Reg, access: Access): Reg {
  checkValue(env, ptr, access, false);
  const { map } = ptr;
  if (map === null) return UNKNOWN;
  const field = map.fields.length === 0 ? null : touchedField(map, ptr, access);
  if (field !== null) return loadField(env, ptr, access, field);
  if (map.contents !== null && ptr.isConst) return frozenValue(map.contents, ptr, access);
  return UNKNOWN;
}

/** Bytes of a section that nobody changes any more. */
function frozenValue(contents: Uint8Array, ptr: Reg, access: Access): Reg {
  const at = access.off + ptr.off + ptr.vl;
  if (at < 0 || at + access.size > contents.length) return UNKNOWN;
  let low = 0;
  let high = 0;
  for (let i = 0; i < access.size; i++) {
    const value = contents[at + i] as number;
    if (i < 4) low |= value << (i * 8);
    else high |= value << ((i - 4) * 8);
  }
  return constantWords(low, high);
}

function isPointerField(field: SpecialField): boolean {
  return (
    field.kind === "kptr_untrusted" ||
    field.kind === "kptr_ref" ||
    field.kind === "kptr_percpu" ||
    field.kind === "uptr"
  );
}

function loadField(env: Env, ptr: Reg, access: Access, field: SpecialField): Reg {
  const at = access.off + ptr.off + ptr.vl;
  if (!isPointerField(field) || access.size !== 8 || !ptr.isConst || at !== field.offset) {
    env.refuse(
      "special-field",
      `the field ${field.kind} at ${field.offset} of ${ptr.map?.name ?? "the value"} is read directly`,
    );
    return UNKNOWN;
  }
  const reg = pointer(kind.btf, flag.maybeNull);
  Object.assign(reg, kernelTypeOf(env, field.typeId));
  // btf_ld_kptr_type
  if (!isProtected(env, field, reg)) reg.flags |= flag.untrusted;
  else if (field.kind === "kptr_percpu") reg.flags |= flag.rcu | flag.percpu;
  else reg.flags |= flag.rcu | (reg.ownType ? flag.alloc | flag.nonOwning : 0);
  reg.id = env.newId();
  return reg;
}

/** Types whose objects live until no reader is left (rcu_protected_types, kernel/bpf/verifier.c). */
const protectedTypes = new Set(["prog_test_ref_kfunc", "cgroup", "bpf_cpumask", "task_struct", "bpf_crypto_ctx"]);

function isProtected(env: Env, field: SpecialField, reg: Reg): boolean {
  if (field.kind === "kptr_untrusted" || (env.state.rcu === 0 && env.sleepable)) return false;
  return reg.ownType || protectedTypes.has(env.kernel?.nameOf(reg.typeId) ?? "");
}

/** A field of the kernel's struct behind a map (check_ptr_to_map_access). */
function loadMap(env: Env, ptr: Reg, access: Access): Reg {
  const { kernel } = env;
  if (hidesAddresses(env)) env.refuse("privilege", "what the kernel keeps of a map is read: CAP_PERFMON is needed");
  if (kernel === null) {
    env.refuse("not-a-pointer", `r${access.register} (map) is no pointer to memory`);
    return UNKNOWN;
  }
  const walked = kernel.walk(kernel.structNamed(mapStruct(ptr.map?.type ?? "")), ptr.off + access.off, access.size);
  if (walked.kind === "refused") env.refuse("kernel-object", `the map: ${walked.why}`);
  if (walked.kind !== "pointer") return UNKNOWN;
  const reg = pointer(kind.btf, flag.untrusted);
  reg.typeId = walked.typeId;
  return reg;
}

const mapStructs: readonly (readonly [types: RegExp, struct: string])[] = [
  [/array(_of_maps)?$/, "bpf_array"],
  [/hash(_of_maps)?$/, "bpf_htab"],
  [/^lpm_trie$/, "lpm_trie"],
  [/^(queue|stack)$/, "bpf_queue_stack"],
  [/ringbuf$/, "bpf_ringbuf_map"],
  [/_storage$/, "bpf_local_storage_map"],
];

function mapStruct(type: string): string {
  if (/^(devmap|sock|cpumap|xskmap|reuseport)/.test(type)) return "bpf_map";
  return mapStructs.find(([types]) => types.test(type))?.[1] ?? "bpf_map";
}

/** What is stored: a register, or an immediate as a constant; `register` -1 for the latter. */
export function store(env: Env, access: Access, value: { readonly reg: Reg; readonly register: number }): void {
  const ptr = env.read(access.register);
  notePointer(env, ptr);
  if (ptr.kind !== kind.stack) refuseAddress(env, value.reg, `the pointer in r${value.register} is stored`);
  switch (ptr.kind) {
    case kind.stack:
      writeStack(env, ptr, access, value);
      break;
    case kind.mapValue:
      if (!refuseNull(env, ptr, access)) storeValue(env, ptr, access, value.reg);
      break;
    case kind.context:
      storeContext(env, ptr, access);
      break;
    case kind.packet:
    case kind.packetMeta:
      if (!mayWritePacket(env)) env.refuse("packet-write", `${env.kind.type} programs may not write to packets`);
      checkPlain(env, ptr, access, true);
      break;
    case kind.flowKeys:
      checkPlain(env, ptr, access, true);
      break;
    case kind.socket:
    case kind.sockCommon:
    case kind.tcpSock:
    case kind.xdpSock:
      accessSocket(env, ptr, access, true);
      break;
    case kind.btf:
      if (!refuseNull(env, ptr, access)) accessKernelObject(env, ptr, access, true);
      break;
    default:
      checkPlain(env, ptr, access, true);
  }
}

function storeValue(env: Env, ptr: Reg, access: Access, value: Reg): void {
  checkValue(env, ptr, access, true);
  const { map } = ptr;
  const field = map === null || map.fields.length === 0 ? null : touchedField(map, ptr, access);
  if (map === null || field === null) return;
  const at = access.off + ptr.off + ptr.vl;
  const storesNull = value.isNumber(0);
  const storesPointer = value.kind === kind.btf && value.typeId === field.typeId;
  const mayStore = field.kind === "kptr_untrusted" && (storesNull || storesPointer);
  if (!mayStore || access.size !== 8 || !ptr.isConst || at !== field.offset) {
    env.refuse("special-field", `the field ${field.kind} at ${field.offset} of ${map.name} is written directly`);
  }
}

const readers = new Set(["lwt_in", "lwt_out", "lwt_seg6local", "sk_reuseport", "flow_dissector", "cgroup_skb"]);
const writers = new Set(["sched_cls", "sched_act", "xdp", "lwt_xmit", "sk_skb", "sk_msg", "cgroup_sockopt"]);

/** may_access_direct_pkt_data */
export function mayWritePacket(env: Env): boolean {
  return writers.has(env.kind.type);
}

/** Whether a helper may take a packet pointer. */
export function mayPassPacket(env: Env, writes: boolean): boolean {
  return writers.has(env.kind.type) || (!writes && readers.has(env.kind.type));
}
