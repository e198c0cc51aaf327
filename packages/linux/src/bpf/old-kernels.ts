/**
 * @module
 * What is left out or replaced when a kernel refuses it and does not know it (libbpf: bpf_object__sanitize_prog, features.c). Asked only after
 * a refusal: a kernel of today is never asked.
 */
import { CALL, helperByName, type Instruction, sections } from "@skep/isa";
import type { ProgramSpec } from "@skep/object";
import { hasFeature } from "./probes/basic.ts";

/** What the kernel has, of what loading asks for by default. */
export interface LoadFeatures {
  /** Names of maps and programs (4.15). */
  readonly names: boolean;
  /** Attach types that are only good to know (4.17). */
  readonly attachTypes: boolean;
  /** bpf_probe_read_kernel and its likes (5.5). */
  readonly probeReadKernel: boolean;
}

export const allFeatures: LoadFeatures = { names: true, attachTypes: true, probeReadKernel: true };

/** What this kernel has; null where it has everything. */
export function missingFeatures(): LoadFeatures | null {
  const features = {
    names: hasFeature("names"),
    attachTypes: hasFeature("attach_types"),
    probeReadKernel: hasFeature("probe_read_kernel"),
  };
  return Object.values(features).every(Boolean) ? null : features;
}

const id = (name: string) => helperByName(name)?.id ?? -1;

const older: ReadonlyMap<number, number> = new Map([
  [id("probe_read_kernel"), id("probe_read")],
  [id("probe_read_user"), id("probe_read")],
  [id("probe_read_kernel_str"), id("probe_read_str")],
  [id("probe_read_user_str"), id("probe_read_str")],
]);

/** With the helpers that read any memory for those that read the kernel's or the process's. */
export function withOlderHelpers(instructions: readonly Instruction[]): Instruction[] {
  return instructions.map((insn) => {
    const replaced = insn.opcode === CALL && insn.src === 0 ? older.get(insn.imm) : undefined;
    return replaced === undefined ? insn : { ...insn, imm: replaced };
  });
}

const optional = new Set(
  sections.flatMap(({ type, attachType, attachTypeOptional }) => (attachTypeOptional ? [`${type} ${attachType}`] : [])),
);

/** Whether the program is loaded without its attach type as well: attaching says it again. */
export function hasOptionalAttachType({ type, attachType }: ProgramSpec): boolean {
  return optional.has(`${type} ${attachType}`);
}
