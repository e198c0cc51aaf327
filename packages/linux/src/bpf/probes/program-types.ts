import { exit, mov64, programTypeNumber, r0, type Instruction } from "@skep/isa";
import type { BtfType, ObjectSpec } from "@skep/object";
import { findKernelType } from "../kernel-btf.ts";
import { NotSupportedError } from "../not-supported.ts";
import { memberIndex, structOpsLayout } from "../struct-ops.ts";
import { conclusive, tryProgram, type TinyProgram } from "./run.ts";

const giving = (value: number): readonly Instruction[] => [mov64(r0, value), exit()];
const SLEEPABLE = 16;

/** Attach types that stand for a program type that cannot be loaded without one. */
const defaults: Readonly<Record<string, string>> = {
  cgroup_sock: "cgroup_inet_sock_create",
  cgroup_sock_addr: "cgroup_inet4_connect",
  cgroup_sockopt: "cgroup_getsockopt",
  sk_lookup: "sk_lookup",
  sk_reuseport: "sk_reuseport_select",
  netfilter: "netfilter",
  flow_dissector: "flow_dissector",
  sock_ops: "cgroup_sock_ops",
  tracing: "trace_raw_tp",
  lsm: "lsm_mac",
};

/** A function or type of every kernel that programs of the attach type can be bound to. */
const targets: Readonly<Record<string, readonly [name: string, kind: "func" | "typedef"]>> = {
  trace_raw_tp: ["btf_trace_sched_switch", "typedef"],
  trace_iter: ["bpf_iter_task", "func"],
  trace_fentry: ["bpf_fentry_test1", "func"],
  trace_fexit: ["bpf_fentry_test1", "func"],
  modify_return: ["bpf_modify_return_test", "func"],
  trace_fsession: ["bpf_fentry_test1", "func"],
  lsm_mac: ["bpf_lsm_file_mprotect", "func"],
  lsm_cgroup: ["bpf_lsm_socket_create", "func"],
};

/** The smallest program of a type that a verifier takes; null where the kernel has nothing to bind it to. */
export function tinyProgram(type: string, attachType: string | undefined = defaults[type]): TinyProgram | null {
  const wantsOne = type.startsWith("cgroup") || ["sk_lookup", "sk_reuseport", "netfilter"].includes(type);
  const program: TinyProgram = {
    type,
    code: giving(wantsOne || attachType === "lsm_cgroup" ? 1 : 0),
    flags: type === "syscall" ? SLEEPABLE : 0,
    ...(attachType === undefined ? {} : { attachType }),
  };
  if (type === "struct_ops") return structOpsProgram(program);
  const target = attachType === undefined ? undefined : targets[attachType];
  if (!target) return program;
  const found = findKernelType(...target);
  return found && found.module === null ? { ...program, btfId: found.id } : null;
}

/** A member of tcp_congestion_ops that gives a number. */
function structOpsProgram(program: TinyProgram): TinyProgram | null {
  try {
    const layout = structOpsLayout("tcp_congestion_ops");
    const attachType = memberIndex(layout, "undo_cwnd");
    return attachType === null ? null : { ...program, btfId: layout.typeId, attachType };
  } catch (error) {
    if (error instanceof NotSupportedError) return null;
    throw error;
  }
}

/** Whether programs of the type, for the attach type where one is given, can be loaded. Throws `InconclusiveError`. */
export function probeProgramType(type: string, attachType?: string): boolean {
  if (programTypeNumber(type) === null) throw new RangeError(`no such program type: ${type}`);
  const program = tinyProgram(type, attachType);
  if (!program) return false;
  const { errno } = tryProgram(program);
  conclusive(`program type ${type}`, errno);
  return errno === 0;
}

const types: readonly BtfType[] = [
  { kind: "int", name: "int", size: 4, bits: 32, bitOffset: 0, encoding: "signed" },
  { kind: "struct", name: "xdp_md", size: 24, members: [], hasBitfields: false },
  { kind: "ptr", typeId: 2 },
  { kind: "func_proto", returnTypeId: 1, params: [{ name: "ctx", typeId: 3 }] },
  { kind: "func", name: "replaced", typeId: 4, linkage: "global" },
  { kind: "func", name: "main", typeId: 4, linkage: "global" },
];

/** A program with a global function, and one that replaces that function: for probing `ext`. */
export function replacingObject(): { readonly target: ObjectSpec; readonly replacement: ObjectSpec } {
  const call: Instruction = { opcode: 0x85, dst: 0, src: 1, offset: 0, imm: 0 };
  const line = { file: "probe", line: 1, column: 1, text: "" };
  const fn = (name: string, typeId: number, instructions: readonly Instruction[]) => ({
    name,
    typeId,
    linkage: "global" as const,
    instructions,
    references: [],
    lines: [{ at: 0, ...line }],
    coreRelocations: [],
  });
  const object = (spec: Pick<ObjectSpec, "programs" | "functions">): ObjectSpec => ({
    license: "GPL",
    byteOrder: "little",
    maps: {},
    btf: { types },
    ...spec,
  });
  const main = {
    ...fn("main", 6, [call, exit()]),
    references: [{ at: 0, kind: "call" as const, function: "replaced" }],
    section: "xdp",
    type: "xdp",
    flags: 0,
  };
  const replacement = {
    ...fn("replaced", 5, giving(2)),
    section: "freplace/replaced",
    type: "ext",
    attachTo: "replaced",
    flags: 0,
  };
  return {
    target: object({ programs: { main }, functions: { replaced: fn("replaced", 5, giving(1)) } }),
    replacement: object({ programs: { replaced: replacement }, functions: {} }),
  };
}
