/**
 * @module
 * The pure functions of the standard library for user space: JavaScript that the compiler makes of the modules that kernel programs import.
 */
import { compileJavaScript, formatDiagnostic } from "../src/index.ts";

/** Modules of packages/bpf/src/std with pure functions. */
export const STANDARD_MODULES = ["hash", "checksum", "stats", "parse"] as const;

export interface StandardModule {
  /** Text of `generated/NAME.ts`. */
  readonly text: string;
  readonly functions: readonly string[];
  /** What only a kernel program may call, and why. */
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
}

const HEAD = `// The pure functions of @skep/bpf/NAME, made by packages/compiler/scripts/embed-standard.ts of NAME.bpf.ts; a test compares.
// @ts-nocheck -- JavaScript; ../NAME.ts gives the functions their types
`;

/** The generated module of `path`, which is NAME.bpf.ts. Throws where it does not compile. */
export function standardModule(
  name: string,
  path: string,
  readFile: (path: string) => string | undefined,
): StandardModule {
  const { code, functions, skipped, diagnostics } = compileJavaScript(path, { readFile });
  if (code === null) throw new Error(diagnostics.map((one) => formatDiagnostic(one)).join("\n"));
  const body = code.slice(code.indexOf("\n") + 1).trimStart();
  return { text: HEAD.replaceAll("NAME", name) + body, functions, skipped };
}
