/**
 * @module
 * Both sides: the pure functions that a module exports, as JavaScript from the same IR.
 */
import type { Diagnostic } from "@skep/isa";
import { emitJavaScript } from "@skep/ir";
import { lowerModule } from "./compile.ts";
import type { SkippedFunction } from "./lower/exports.ts";
import type { CompilerHost } from "./source.ts";

export interface JavaScriptResult {
  /** An ECMAScript module; null where there are errors or no pure function. */
  readonly code: string | null;
  /** Its `.d.ts`. */
  readonly declarations: string | null;
  readonly functions: readonly string[];
  /** Functions that the module exports and that have no JavaScript. */
  readonly skipped: readonly SkippedFunction[];
  readonly diagnostics: readonly Diagnostic[];
  readonly sources: Readonly<Record<string, string>>;
}

/**
 * The functions that the module exports and that need nothing of the kernel (parameters with a layout, results that are integers or
 * booleans) as JavaScript that computes what the kernel does, to the last bit. Structs are given by reference: what the function changes is
 * changed.
 */
export function compileJavaScript(entry: string, host: CompilerHost): JavaScriptResult {
  const { module, exports, skipped, diagnostics, sources } = lowerModule(entry, host, {
    programs: false,
    functions: true,
  });
  const functions = exports.map((one) => one.name);
  if (!module || functions.length === 0)
    return { code: null, declarations: null, functions, skipped, diagnostics, sources };
  const name = entry.slice(entry.lastIndexOf("/") + 1);
  const { code, declarations } = emitJavaScript(module, exports, {
    banner: `The pure functions of ${name}, by skep compile.`,
  });
  return { code, declarations, functions, skipped, diagnostics, sources };
}
