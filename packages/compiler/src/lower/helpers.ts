/**
 * @module
 * Calls of the kernel's helpers: what each takes and gives, where it may be called, and which of them move the packet.
 */
import type ts from "typescript";
import { PROGRAM_KINDS } from "@skep/bpf";
import { helperByName } from "@skep/isa";
import type { Inst } from "@skep/ir";
import { INTS, sizeOf, type IntT } from "../types.ts";
import { UNDEFINED, type RefValue, type Value } from "../values.ts";
import { pointerOf } from "./bindings.ts";
import type { Cx } from "./cx.ts";
import { coerce, convert, instOf, typed } from "./ints.ts";
import { materialize } from "./literals.ts";
import { asInt, present } from "./memory.ts";

/**
 * What stands for one argument: an integer of that type, the context, `mem` a pointer to a value, `sized` the same followed by its
 * size, `sized?` where it may be null, `null` and `0` without an argument in the source.
 */
type Parameter = "u16" | "u32" | "i32" | "u64" | "ctx" | "mem" | "sized" | "sized?" | "null" | "0";

interface Signature {
  readonly parameters: readonly Parameter[];
  readonly returns: IntT | null;
  readonly gpl?: boolean;
  /** Kernel's program types; absent: all. */
  readonly programs?: readonly string[];
}

const { u32, u64, i32, i64 } = INTS;
const SKB = ["sched_cls"];
const CGROUP = [
  "cgroup_sock_addr",
  "cgroup_sock",
  "cgroup_skb",
  "sock_ops",
  "cgroup_device",
  "cgroup_sysctl",
  "cgroup_sockopt",
];
const TRACING = ["kprobe", "tracepoint", "raw_tracepoint", "perf_event"];

function give(returns: IntT | null, parameters: readonly Parameter[], rest: Partial<Signature> = {}): Signature {
  return { parameters, returns, ...rest };
}

/** By the name in `@skep/bpf`; the kernel's is the same in snake case. GPL: `gpl_only` of the kernel's bpf_func_proto. */
const SIGNATURES: Readonly<Record<string, Signature>> = {
  ktimeGetNs: give(u64, []),
  ktimeGetBootNs: give(u64, []),
  ktimeGetCoarseNs: give(u64, []),
  jiffies64: give(u64, []),
  getPrandomU32: give(u32, []),
  getSmpProcessorId: give(u32, []),
  getNumaNodeId: give(u32, []),
  getCurrentPidTgid: give(u64, [], { programs: [...TRACING, ...CGROUP, "sk_lookup"] }),
  getCurrentUidGid: give(u64, [], { programs: [...TRACING, ...CGROUP] }),
  getCurrentTask: give(u64, [], { gpl: true }),
  getCurrentCgroupId: give(u64, [], { programs: [...TRACING, ...CGROUP] }),
  getCurrentAncestorCgroupId: give(u64, ["i32"], { programs: [...TRACING, ...CGROUP] }),
  getCurrentComm: give(i64, ["sized"], { programs: [...TRACING, ...CGROUP] }),
  probeReadKernel: give(i64, ["sized", "u64"], { gpl: true }),
  probeReadUser: give(i64, ["sized", "u64"], { gpl: true }),
  probeReadKernelStr: give(i64, ["sized", "u64"], { gpl: true }),
  probeReadUserStr: give(i64, ["sized", "u64"], { gpl: true }),
  sendSignal: give(i64, ["u32"], { programs: TRACING }),
  getSocketCookie: give(u64, ["ctx"], {
    programs: ["sched_cls", "cgroup_skb", "cgroup_sock", "cgroup_sock_addr", "sock_ops", "sk_lookup"],
  }),
  getNetnsCookie: give(u64, ["ctx"], {
    programs: ["sched_cls", "cgroup_skb", "cgroup_sock", "cgroup_sock_addr", "sock_ops"],
  }),
  setRetval: give(i32, ["i32"], { programs: CGROUP }),
  getRetval: give(i32, [], { programs: CGROUP }),
  getSocketUid: give(u32, ["ctx"], { programs: ["sched_cls", "cgroup_skb"] }),
  redirectPeer: give(i32, ["u32", "u64"], { programs: SKB }),
  redirectNeigh: give(i32, ["u32", "null", "0", "0"], { programs: SKB }),
  redirect: give(i32, ["u32", "u64"], { programs: ["sched_cls", "xdp"] }),
  cloneRedirect: give(i64, ["ctx", "u32", "u64"], { programs: SKB }),
  skbPullData: give(i64, ["ctx", "u32"], { programs: SKB }),
  skbLoadBytes: give(i64, ["ctx", "u32", "sized"], { programs: ["sched_cls", "cgroup_skb"] }),
  skbStoreBytes: give(i64, ["ctx", "u32", "sized", "u64"], { programs: SKB }),
  l3CsumReplace: give(i64, ["ctx", "u32", "u64", "u64", "u64"], { programs: SKB }),
  l4CsumReplace: give(i64, ["ctx", "u32", "u64", "u64", "u64"], { programs: SKB }),
  csumDiff: give(i64, ["sized?", "sized?", "u32"], { programs: ["sched_cls", "xdp"] }),
  csumUpdate: give(i64, ["ctx", "u32"], { programs: SKB }),
  skbVlanPush: give(i64, ["ctx", "u16", "u16"], { programs: SKB }),
  skbVlanPop: give(i64, ["ctx"], { programs: SKB }),
  skbChangeProto: give(i64, ["ctx", "u16", "u64"], { programs: SKB }),
  skbChangeType: give(i64, ["ctx", "u32"], { programs: SKB }),
  skbChangeTail: give(i64, ["ctx", "u32", "u64"], { programs: SKB }),
  skbChangeHead: give(i64, ["ctx", "u32", "u64"], { programs: SKB }),
  skbAdjustRoom: give(i64, ["ctx", "i32", "u32", "u64"], { programs: SKB }),
  skbGetTunnelKey: give(i64, ["ctx", "sized", "u64"], { programs: SKB }),
  skbSetTunnelKey: give(i64, ["ctx", "sized", "u64"], { programs: SKB }),
  getHashRecalc: give(u32, ["ctx"], { programs: SKB }),
  setHashInvalid: give(null, ["ctx"], { programs: SKB }),
  skbCgroupId: give(u64, ["ctx"], { programs: ["sched_cls", "cgroup_skb"] }),
  fibLookup: give(i64, ["ctx", "sized", "u32"], { gpl: true, programs: ["sched_cls", "xdp"] }),
  xdpAdjustHead: give(i32, ["ctx", "i32"], { programs: ["xdp"] }),
  xdpAdjustTail: give(i32, ["ctx", "i32"], { programs: ["xdp"] }),
  xdpAdjustMeta: give(i32, ["ctx", "i32"], { programs: ["xdp"] }),
};

/** Ethertypes and the like: host order in the source, network order for the helper. */
const NETWORK_ORDER: ReadonlySet<string> = new Set(["skbVlanPush", "skbChangeProto"]);

export function isHelper(name: string): boolean {
  return SIGNATURES[name] !== undefined;
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

const GPL = new Set(["GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"]);

/** The kernel's list (license_is_gpl_compatible, include/linux/license.h). */
export function isGplCompatible(license: string): boolean {
  return GPL.has(license);
}

export function requireGpl(cx: Cx, name: string, node: ts.Node): void {
  if (!isGplCompatible(cx.unit.license)) cx.refuse(node, "needsGpl", [name, cx.unit.license]);
}

function checkProgram(cx: Cx, name: string, signature: Signature, node: ts.Node): void {
  const kind = PROGRAM_KINDS[cx.program];
  if (!signature.programs || !kind || signature.programs.includes(kind.type)) return;
  cx.refuse(node, "wrongProgram", [name, kind.type, signature.programs.join(", ")]);
}

function memoryArgument(cx: Cx, value: Value, name: string, node: ts.Node): RefValue {
  const shown = present(value);
  if (shown.kind === "ref") return shown;
  if (shown.kind === "int" && shown.type) return materialize(cx, shown, shown.type, node);
  return cx.refuse(node, "wantsMemory", [name]);
}

function memoryInsts(cx: Cx, call: Call, parameter: Parameter, node: ts.Expression): Inst[] {
  const b = cx.emit(node);
  const value = cx.lower.value(cx, node);
  if (parameter === "sized?" && value.kind === "null") return [b.null(), b.i32(0)];
  const ref = memoryArgument(cx, value, call.name, node);
  const ptr = pointerOf(cx, ref, node);
  return parameter === "mem" ? [ptr] : [ptr, b.i32(sizeOf(ref.type))];
}

interface Call {
  readonly name: string;
  readonly node: ts.CallExpression;
}

function contextInst(cx: Cx, call: Call, node: ts.Expression): Inst {
  const value = cx.lower.value(cx, node);
  if (value.kind !== "context") return cx.refuse(node, "wantsContext", [call.name]);
  return value.ptr;
}

function integerInst(cx: Cx, call: Call, parameter: "u16" | "u32" | "i32" | "u64", node: ts.Expression): Inst {
  const type = INTS[parameter];
  const given = asInt(cx, cx.lower.value(cx, node, type), node);
  const value = coerce(cx, given, type, node);
  const b = cx.emit(node);
  if (parameter === "u16" && NETWORK_ORDER.has(call.name) && node === call.node.arguments[1]) {
    return b.hton(instOf(cx, value, type, node), 16);
  }
  // A signed argument is sign-extended: the helper's parameter is 64 bits wide.
  if (parameter === "i32") return instOf(cx, convert(cx, value, i64, node), i64, node);
  return instOf(cx, value, type, node);
}

function insts(cx: Cx, call: Call, signature: Signature): Inst[] {
  const given = [...call.node.arguments];
  const b = cx.emit(call.node);
  return signature.parameters.flatMap((parameter) => {
    if (parameter === "null") return [b.null()];
    if (parameter === "0") return [b.i64(0)];
    const node = given.shift();
    if (!node) return cx.refuse(call.node, "wantsMemory", [call.name]);
    if (parameter === "ctx") return [contextInst(cx, call, node)];
    if (parameter === "mem" || parameter === "sized" || parameter === "sized?")
      return memoryInsts(cx, call, parameter, node);
    return [integerInst(cx, call, parameter, node)];
  });
}

/** Lowers a call; after one that moves packet data the headers read before are stale. */
export function callHelper(cx: Cx, name: string, node: ts.CallExpression): Value {
  const signature = SIGNATURES[name];
  const helper = helperByName(snakeCase(name));
  if (!signature || !helper) return cx.refuse(node, "notCallableSo", [name]);
  checkProgram(cx, name, signature, node);
  if (signature.gpl) requireGpl(cx, name, node);
  const args = insts(cx, { name, node }, signature);
  const b = cx.emit(node);
  const type = signature.returns === null ? undefined : signature.returns.bits === 64 ? "i64" : "i32";
  const inst = b.helper(helper.id, args, type);
  if (helper.changesPacketData) {
    cx.movePacket(name);
  }
  return signature.returns ? typed(inst, signature.returns) : UNDEFINED;
}
