/** @module Sessions that run on the interpreter of `@skep/vm`: no privilege is needed. */
import type { SessionOptions } from "./session.ts";
import { VmRunner } from "./vm-runner.ts";

export function vmSession(size: { functions: number; programs: number }): SessionOptions {
  return { ...size, load: (compiled) => new VmRunner(compiled.spec), refusal: () => null };
}
