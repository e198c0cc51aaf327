import type { Program } from "@skep/machine";
import { decodeBtf, findByName, type ProgramSpec } from "@skep/object";
import { findKernelType, openModuleBtf } from "./kernel-btf.ts";
import { descriptorOf } from "./map.ts";
import { NotSupportedError } from "./not-supported.ts";
import { btfById } from "./objects.ts";
import { programInfo } from "./info.ts";

/** What a program is bound to when it is loaded: a function or type of the kernel, a module, or another program. */
export interface AttachPoint {
  readonly btfId: number;
  /** Of the module's BTF or of the target program; 0 for the kernel itself. */
  readonly fd: number;
  /** Instead of what the spec says: the number of a struct_ops member. */
  readonly attachType?: number;
  close(): void;
}

export const noPoint: AttachPoint = { btfId: 0, fd: 0, close() {} };

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

/**
 * Finds what the spec's target means here. `target`: the program whose function is traced or replaced.
 * Throws `NotSupportedError` where the kernel has no such function or type.
 */
export function attachPoint(spec: ProgramSpec, target?: Program): AttachPoint {
  if (target) return programPoint(spec, target);
  if (spec.type === "ext") throw new TypeError(`${spec.name} replaces a function of a program: name it in targets`);
  const rule = spec.attachType === undefined ? undefined : prefixes[spec.attachType];
  if (!rule || (spec.type !== "tracing" && spec.type !== "lsm")) return noPoint;
  if (spec.attachTo === undefined || spec.attachTo === "")
    throw new TypeError(`${spec.name}: section ${spec.section} names no target`);
  const [module, name] = spec.attachTo.includes(":") ? spec.attachTo.split(":", 2) : [undefined, spec.attachTo];
  const type = findKernelType(`${rule.prefix}${name}`, rule.kind, module);
  if (!type) {
    const detail = `the kernel's types have no ${rule.prefix}${name}`;
    throw new NotSupportedError(`${spec.type} target ${spec.attachTo}`, { detail });
  }
  if (type.module === null) return { ...noPoint, btfId: type.id };
  const descriptor = openModuleBtf(type.module);
  if (!descriptor) throw new NotSupportedError(`types of module ${type.module}`, { detail: "they cannot be opened" });
  return { btfId: type.id, fd: descriptor.fd, close: () => descriptor.close() };
}

/** A function of another program, in that program's own BTF. */
function programPoint(spec: ProgramSpec, target: Program): AttachPoint {
  const name = spec.attachTo ?? target.name;
  const { btfId } = programInfo(descriptorOf(target));
  const types = btfId === 0 ? null : btfById(btfId);
  if (!types) throw new NotSupportedError(`tracing ${target.name}`, { detail: "it was loaded without types" });
  const found = findByName(decodeBtf(types.bytes), name, "func");
  if (!found) throw new RangeError(`${spec.name}: program ${target.name} has no function ${name}`);
  return { ...noPoint, btfId: found.id, fd: descriptorOf(target) };
}
