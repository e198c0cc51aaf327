import { callKfunc, exit } from "@skep/isa";
import { findKernelType } from "../kernel-btf.ts";
import { conclusive, tryProgram } from "./run.ts";
import { tinyProgram } from "./program-types.ts";

/**
 * Whether the kernel has a function of this name that programs may call; with `type`, whether programs of that type may. Throws
 * `InconclusiveError`.
 */
export function probeKfunc(name: string, type?: string): boolean {
  const found = findKernelType(name, "func");
  if (!found) return false;
  // Functions of modules are only asked for by name: their BTF would have to be handed over.
  if (type === undefined || found.module !== null) return true;
  const program = tinyProgram(type);
  if (!program) return false;
  const { errno, log } = tryProgram({ ...program, code: [callKfunc(found.id), exit()] });
  if (errno === 0) return true;
  conclusive(`function ${name} in ${type} programs`, errno);
  return log !== "" && !/is not allowed|not a kernel function|invalid kernel function|is not a kernel/.test(log);
}
