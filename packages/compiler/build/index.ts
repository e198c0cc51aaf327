/**
 * @module
 * Build plugins: `import * as count from "./count.bpf.ts"` compiles the kernel program when the application is built, and gives its maps,
 * programs and schemas with their types; `objectOf(count)` is the object to load.
 */
import { readFileSync } from "node:fs";
import type { Diagnostic } from "@skep/isa";
import { writeObject, type ObjectSpec } from "@skep/object";
import { compile, compileJavaScript, formatDiagnostic, PROBLEMS, userSide, type CompileOptions } from "@skep/compiler";

export { objectOf, NotCompiledError } from "./object-of.ts";

export interface BuildOptions extends CompileOptions {}

/** A kernel module as the bundle holds it. */
export interface BuiltModule {
  /** null where there are errors. */
  readonly code: string | null;
  readonly diagnostics: readonly Diagnostic[];
  /** Texts by path: for showing diagnostics. */
  readonly sources: Readonly<Record<string, string>>;
  /** Files that the object depends on. */
  readonly files: readonly string[];
}

const MODULE = /\.bpf\.ts$/;

function readFile(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT" || code === "EISDIR") return undefined;
    throw error;
  }
}

/** Compiles `path` and makes the JavaScript module that stands for it: its pure functions work, its programs are in the object. */
export function buildModule(path: string, options: BuildOptions = {}): BuiltModule {
  const { spec, diagnostics, sources } = compile(path, { readFile }, options);
  const files = Object.keys(sources);
  const hasPrograms = !diagnostics.some((one) => one.code === PROBLEMS.noPrograms.code);
  if (!spec && hasPrograms) return { code: null, diagnostics, sources, files };
  const pure = compileJavaScript(path, { readFile });
  if (!spec && pure.code === null) return { code: null, diagnostics, sources, files };
  const object = spec ? `\nexport const $skep = ${JSON.stringify(base64Of(spec))};\n` : "";
  const code = userSide(sources[path] ?? "", path, pure) + object;
  return { code, diagnostics: spec ? diagnostics : [], sources, files };
}

const base64Of = (spec: ObjectSpec): string => Buffer.from(writeObject(spec)).toString("base64");

function texts(built: BuiltModule): string[] {
  return built.diagnostics.map((one) => formatDiagnostic(one, one.span && built.sources[one.span.file]));
}

// ---- esbuild ----

interface EsbuildMessage {
  readonly text: string;
  readonly detail?: unknown;
  readonly location?: { file: string; line: number; column: number; length: number; lineText: string };
  readonly notes?: { text: string }[];
}

interface EsbuildLike {
  onLoad(
    options: { filter: RegExp },
    load: (args: { path: string }) => {
      contents?: string;
      loader?: "js";
      errors?: EsbuildMessage[];
      warnings?: EsbuildMessage[];
      watchFiles?: string[];
    },
  ): void;
}

function message(built: BuiltModule, one: Diagnostic): EsbuildMessage {
  const { span } = one;
  const lineText = span ? (built.sources[span.file]?.split(/\r?\n/)[span.line - 1] ?? "") : "";
  return {
    text: `${one.code}: ${one.message}`,
    ...(span
      ? { location: { file: span.file, line: span.line, column: span.column - 1, length: span.length, lineText } }
      : {}),
    ...(one.hint === undefined ? {} : { notes: [{ text: `hint: ${one.hint}` }] }),
  };
}

/** For `esbuild.build({ plugins: [skepEsbuild()] })`. */
export function skepEsbuild(options: BuildOptions = {}): { name: string; setup(build: EsbuildLike): void } {
  return {
    name: "skep",
    setup(build) {
      build.onLoad({ filter: MODULE }, ({ path }) => {
        const built = buildModule(path, options);
        const errors = built.diagnostics.filter((one) => one.severity === "error");
        const warnings = built.diagnostics.filter((one) => one.severity !== "error");
        return {
          ...(built.code === null ? {} : { contents: built.code, loader: "js" as const }),
          errors: errors.map((one) => message(built, one)),
          warnings: warnings.map((one) => message(built, one)),
          watchFiles: [...built.files],
        };
      });
    },
  };
}

// ---- Vite ----

interface ViteContext {
  error(
    message: string | { message: string; id?: string; loc?: { file: string; line: number; column: number } },
  ): never;
  addWatchFile(path: string): void;
}

/** For `plugins: [skepVite()]` of a Vite configuration, and for Rollup. */
export function skepVite(options: BuildOptions = {}): {
  name: string;
  enforce: "pre";
  load(this: ViteContext, id: string): { code: string; map: null; moduleType: "js" } | null;
} {
  return {
    name: "skep",
    enforce: "pre",
    load(id) {
      const path = id.split("?", 1)[0] ?? id;
      if (!MODULE.test(path)) return null;
      const built = buildModule(path, options);
      for (const file of built.files) this.addWatchFile(file);
      const [first] = built.diagnostics;
      if (built.code === null) {
        const span = first?.span;
        const loc = span ? { loc: { file: span.file, line: span.line, column: span.column - 1 } } : {};
        return this.error({ message: texts(built).join("\n"), id, ...loc });
      }
      return { code: built.code, map: null, moduleType: "js" };
    },
  };
}
