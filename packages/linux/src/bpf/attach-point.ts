import type { ProgramSpec } from "@skep/object";
import { findKernelType, openModuleBtf } from "./kernel-btf.ts";
import { NotSupportedError } from "./not-supported.ts";

/** What a program is bound to when it is loaded: a function or type of the kernel, a module, or another program. */
export interface AttachPoint {
  readonly btfId: number;
  /** Of the module's BTF or of the target program; 0 for the kernel itself. */
  readonly fd: number;
  close(): void;
}

const none: AttachPoint = { btfId: 0, fd: 0, close() {} };

/** How the name of a target becomes the name of a type (libbpf: find_kernel_btf_id). */
const prefixes: Readonly<Record<string, { readonly prefix: string; readonly kind: "func" | "typedef" }>> = {
  trace_raw_tp: { prefix: "btf_trace_", kind: "typedef" },
  trace_iter: { prefix: "bpf_iter_", kind: "func" },
  lsm_mac: { prefix: "bpf_lsm_", kind: "func" },
  lsm_cgroup: { prefix: "bpf_lsm_", kind: "func" },
  trace_fentry: { prefix: "", kind: "func" },
  trace_fexit: { prefix: "", kind: "func" },
  trace_fsession: { prefix: "", kind: "func" },
  modify_return: { prefix: "", kind: "func" },
};

/** Throws `NotSupportedError` where the kernel has no such function or type. */
export function attachPoint(spec: ProgramSpec): AttachPoint {
  const rule = spec.attachType === undefined ? undefined : prefixes[spec.attachType];
  if (!rule || (spec.type !== "tracing" && spec.type !== "lsm")) return none;
  if (spec.attachTo === undefined) throw new TypeError(`${spec.name}: section ${spec.section} names no target`);
  const [module, name] = spec.attachTo.includes(":") ? spec.attachTo.split(":", 2) : [undefined, spec.attachTo];
  const type = findKernelType(`${rule.prefix}${name}`, rule.kind, module);
  if (!type)
    throw new NotSupportedError(`${spec.section}`, { detail: `the kernel's types have no ${rule.prefix}${name}` });
  if (type.module === null) return { ...none, btfId: type.id };
  const descriptor = openModuleBtf(type.module);
  if (!descriptor)
    throw new NotSupportedError(spec.section, { detail: `the types of module ${type.module} cannot be opened` });
  return { btfId: type.id, fd: descriptor.fd, close: () => descriptor.close() };
}
