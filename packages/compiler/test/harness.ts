/**
 * @module
 * Kernel TypeScript from strings: compiled in memory, run in the kernel.
 */
import type { Diagnostic } from "@skep/isa";
import { LinuxBpf, type LinuxCollection } from "@skep/linux";
import type { ObjectSpec } from "@skep/object";
import { compile, formatDiagnostic, type CompileOptions, type CompileResult, type CompilerHost } from "../src/index.ts";
import type { LoadOptions } from "@skep/machine";

export const ENTRY = "/test/main.bpf.ts";

export function memoryHost(files: Readonly<Record<string, string>>): CompilerHost {
  return { readFile: (path) => files[path] };
}

export function compileText(
  text: string,
  more: Readonly<Record<string, string>> = {},
  options: CompileOptions = {},
): CompileResult {
  return compile(ENTRY, memoryHost({ ...more, [ENTRY]: text }), options);
}

export function formatAll(result: CompileResult): string {
  const text = (one: Diagnostic): string => formatDiagnostic(one, one.span ? result.sources[one.span.file] : undefined);
  return result.diagnostics.map(text).join("\n");
}

/** The object; what was wrong otherwise. */
export function specOf(
  text: string,
  more: Readonly<Record<string, string>> = {},
  options: CompileOptions = {},
): ObjectSpec {
  const result = compileText(text, more, options);
  if (!result.spec) throw new Error(formatAll(result));
  return result.spec;
}

export const bpf = new LinuxBpf();

export interface Running {
  readonly collection: LinuxCollection;
  /** Runs the only program, or the one of that name. */
  run(data: Uint8Array, options?: { name?: string; context?: Uint8Array }): { returned: number; data: Uint8Array };
  close(): void;
}

/** Compiles, loads, and runs on demand. */
export function start(
  text: string,
  options: { files?: Record<string, string>; load?: LoadOptions; compile?: CompileOptions } = {},
): Running {
  const collection = bpf.load(specOf(text, options.files, options.compile), options.load);
  return {
    collection,
    run(data, { name, context } = {}) {
      const program = name === undefined ? Object.values(collection.programs)[0] : collection.programs[name];
      if (!program) throw new Error(`no program ${name ?? ""}`);
      return program.test({ data, ...(context ? { context } : {}) });
    },
    close: () => collection.close(),
  };
}

/** Compiles and runs once. */
export function runOnce(text: string, data: Uint8Array = new Uint8Array(64)): { returned: number; data: Uint8Array } {
  const running = start(text);
  try {
    return running.run(data);
  } finally {
    running.close();
  }
}
