/** @module Sessions that run in the kernel. */
import { VerifierError } from "@skep/linux";
import { KernelModule, refusalReason } from "./kernel.ts";
import type { SessionOptions } from "./session.ts";

export function kernelSession(size: { functions: number; programs: number }): SessionOptions {
  return {
    ...size,
    load: (compiled, programs) => new KernelModule(compiled.spec, programs),
    refusal: (error) =>
      error instanceof VerifierError ? { program: error.program, reason: refusalReason(error) ?? error.message } : null,
  };
}
