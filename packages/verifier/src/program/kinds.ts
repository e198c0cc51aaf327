/**
 * @module
 * What the rules of a program's type are: results, and the kernel's prototype behind its context.
 */
import { programFlags } from "@skep/isa";
import { resolveType } from "@skep/object";
import type { ObjectSpec, ProgramSpec } from "@skep/object";
import { contextRules } from "../context/access.ts";
import type { KernelPrototype, ProgramKind, ReturnRange } from "../env.ts";
import { helpersOf } from "../helpers/prototypes.ts";
import { contextWithout, helpersWithout } from "../privilege/privilege.ts";
import type { Privilege } from "../privilege/privilege.ts";
import type { KernelTypes } from "../kernel/types.ts";

const yesNo: ReturnRange = { min: 0, max: 1 };
const one: ReturnRange = { min: 1, max: 1 };
const zero: ReturnRange = { min: 0, max: 0 };
const upTo3: ReturnRange = { min: 0, max: 3 };

/** Types whose result is 0 or 1, whatever they are attached to. */
const deciding = new Set([
  "cgroup_sock",
  "sock_ops",
  "cgroup_device",
  "cgroup_sysctl",
  "cgroup_sockopt",
  "sk_lookup",
  "netfilter",
]);
const alwaysOne = /recvmsg|getpeername|getsockname/;

/** check_return_code (kernel/bpf/verifier.c, 6.18). Null: anything. */
export function returnRange(
  type: string,
  attachType: string | undefined,
  prototype: KernelPrototype | null,
): ReturnRange | null {
  const attach = attachType ?? "";
  if (deciding.has(type)) return yesNo;
  switch (type) {
    case "cgroup_sock_addr":
      if (alwaysOne.test(attach)) return one;
      return attach === "cgroup_inet4_bind" || attach === "cgroup_inet6_bind" ? upTo3 : yesNo;
    case "cgroup_skb":
      return attach === "cgroup_inet_egress" ? upTo3 : yesNo;
    case "kprobe":
      return /session/.test(attach) ? yesNo : null;
    case "tracing":
      if (attach === "trace_fentry" || attach === "trace_fexit") return zero;
      return attach === "trace_iter" ? yesNo : null;
    case "lsm":
      if (attach === "lsm_cgroup") return prototype?.returnTypeId === 0 ? one : yesNo;
      return { min: -4095, max: 0 };
    default:
      return null;
  }
}

const gplLicences = new Set([
  "GPL",
  "GPL v2",
  "GPL and additional rights",
  "Dual BSD/GPL",
  "Dual MIT/GPL",
  "Dual MPL/GPL",
]);

export interface KindOptions {
  readonly kernel: KernelTypes | null;
  readonly version: number;
  readonly privilege: Privilege;
}

export function programKind(spec: ObjectSpec, program: ProgramSpec, options: KindOptions): ProgramKind {
  const { type, attachType } = program;
  const prototype = options.kernel === null ? null : kernelPrototype(spec, program, options.kernel);
  return {
    type,
    attachType,
    attachTo: program.attachTo,
    sleepable: (program.flags & programFlags.sleepable) !== 0,
    deviceBound: (program.flags & programFlags.xdp_dev_bound_only) !== 0,
    privilege: options.privilege,
    isGpl: gplLicences.has(spec.license),
    kernel: options.version,
    context: contextWithout(options.privilege, type, contextRules(type, attachType)),
    helpers: helpersWithout(options.privilege, helpersFor(program, prototype)),
    prototype,
    returns: returnRange(type, attachType, prototype),
  };
}

const socketOptions = [49, 57];

/** Some depend on what the program is attached to (bpf_iter_tcp_get_func_proto, bpf_tcp_ca_get_func_proto). */
function helpersFor(program: ProgramSpec, prototype: KernelPrototype | null): ReadonlySet<number> | null {
  const { type, attachType, attachTo } = program;
  const common = helpersOf(type, attachType);
  if (common === null) return null;
  if (attachType === "trace_iter" && (attachTo === "tcp" || attachTo === "unix"))
    return new Set([...common, ...socketOptions]);
  if (prototype?.name === "tcp_congestion_ops.release")
    return new Set([...common].filter((id) => !socketOptions.includes(id)));
  return common;
}

const prefixes: Readonly<Record<string, string>> = {
  trace_raw_tp: "btf_trace_",
  trace_iter: "bpf_iter_",
  lsm_mac: "bpf_lsm_",
  lsm_cgroup: "bpf_lsm_",
  trace_fentry: "",
  trace_fexit: "",
  modify_return: "",
};

function kernelPrototype(spec: ObjectSpec, program: ProgramSpec, kernel: KernelTypes): KernelPrototype | null {
  if (program.type === "struct_ops") return memberPrototype(spec, program, kernel);
  const prefix = program.attachType === undefined ? undefined : prefixes[program.attachType];
  if (prefix === undefined || (program.type !== "tracing" && program.type !== "lsm")) return null;
  const name = `${prefix}${program.attachTo ?? ""}`;
  const isTracepoint = program.attachType === "trace_raw_tp";
  const id = kernel.named(name, isTracepoint ? "typedef" : "func");
  const proto = id === 0 ? null : functionType(kernel, id);
  if (proto === null) return null;
  const params = isTracepoint ? proto.params.slice(1) : proto.params;
  return { name, params, returnTypeId: proto.returnTypeId, nullable: program.attachType === "trace_iter" };
}

function functionType(kernel: KernelTypes, id: number) {
  let type = kernel.view.get(id);
  for (let depth = 0; depth < 8 && type !== null; depth++) {
    if (type.kind === "func_proto") return type;
    if (type.kind !== "func" && type.kind !== "ptr" && type.kind !== "typedef" && type.kind !== "const") return null;
    type = kernel.view.get(type.typeId);
  }
  return null;
}

/** A program that is a member of a kernel struct has the member's prototype. */
function memberPrototype(spec: ObjectSpec, program: ProgramSpec, kernel: KernelTypes): KernelPrototype | null {
  for (const map of Object.values(spec.maps)) {
    const member = map.structOps?.programs.find((each) => each.program === program.name)?.member;
    if (map.structOps === undefined || member === undefined) continue;
    const struct = resolveType(kernel.view, kernel.structNamed(map.structOps.typeName));
    if (struct?.kind !== "struct") return null;
    const field = struct.members.find((each) => each.name === member);
    const proto = field === undefined ? null : functionType(kernel, field.typeId);
    if (proto === null) return null;
    return {
      name: `${map.structOps.typeName}.${member}`,
      params: proto.params,
      returnTypeId: proto.returnTypeId,
      nullable: false,
    };
  }
  return null;
}
