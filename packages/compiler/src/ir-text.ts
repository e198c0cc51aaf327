/**
 * @module
 * `--emit ir`: what a module is between its source and its instructions.
 */
import { optimizeModule, printModule } from "@skep/ir";
import { lowerModule, type CompileOptions, type LowerResult } from "./compile.ts";
import type { CompilerHost } from "./source.ts";

export type IrTextResult = Omit<LowerResult, "module"> & {
  /** null where there are errors. */
  readonly text: string | null;
};

/** The IR as text: with `optimize: 0` as it was lowered, else after all passes. */
export function irText(entry: string, host: CompilerHost, options: CompileOptions = {}): IrTextResult {
  const { module, ...rest } = lowerModule(entry, host);
  if (!module) return { ...rest, text: null };
  if (options.optimize === 0) return { ...rest, text: printModule(module) };
  const diagnostics = [...rest.diagnostics];
  const functions = optimizeModule(module, options, diagnostics);
  return { ...rest, diagnostics, text: printModule({ ...module, functions }) };
}
