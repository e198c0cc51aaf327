/**
 * @module
 * `skep compile`: kernel TypeScript to an object file.
 */
import { existsSync, readFileSync, watch as watchFolder, writeFileSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import {
  compile,
  compileJavaScript,
  declarationsOf,
  formatDiagnostic,
  functionPlaces,
  irText,
  type CompileOptions as CompilerOptions,
} from "@skep/compiler";
import type { Diagnostic } from "@skep/isa";
import { type ObjectSpec, printBtf, printC, writeObject } from "@skep/object";
import { storeOptions } from "../compile-store.ts";
import { CliError, EXIT_FAILED, systemCode, usageError } from "../errors.ts";
import { explainFunction, explainInlined, listObject, nearPath } from "../output/listing.ts";
import { hasColor, write } from "../output/print.ts";

export type Emitted = "ir" | "asm" | "obj" | "btf" | "c" | "c-header" | "d.ts" | "js";

export interface CompileOptions {
  readonly file: string;
  readonly output?: string;
  readonly check?: boolean;
  readonly emit?: Emitted;
  /** A function whose instructions are shown beside its source. */
  readonly explain?: string;
  readonly watch?: boolean;
  /** Version of the instruction set. */
  readonly cpu?: "v1" | "v2" | "v3" | "v4";
  /** false: no passes. */
  readonly optimize?: boolean;
  /** Ends `watch`. */
  readonly signal?: AbortSignal;
}

function readFile(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (["ENOENT", "EISDIR"].includes(systemCode(error) ?? "")) return undefined;
    throw error;
  }
}

/** Files are named as seen from here. */
function shown(diagnostic: Diagnostic): Diagnostic {
  const { span } = diagnostic;
  if (!span) return diagnostic;
  return { ...diagnostic, span: { ...span, file: nearPath(span.file) } };
}

function report(diagnostics: readonly Diagnostic[]): void {
  const color = hasColor(process.stderr);
  for (const diagnostic of diagnostics) {
    const source = diagnostic.span ? readFile(diagnostic.span.file) : undefined;
    process.stderr.write(`${formatDiagnostic(shown(diagnostic), source, { color })}\n`);
  }
  const errors = diagnostics.filter((each) => each.severity === "error").length;
  if (errors > 0) process.stderr.write(`${errors} ${errors === 1 ? "error" : "errors"}\n`);
}

/** What the compiler is told. */
function settings(options: CompileOptions): CompilerOptions {
  const CPU = { v1: 1, v2: 2, v3: 3, v4: 4 } as const;
  return {
    ...storeOptions(),
    ...(options.cpu === undefined ? {} : { cpu: CPU[options.cpu] }),
    ...(options.optimize === false ? { optimize: 0 as const } : {}),
  };
}

/** The types in C, as a header for programs that share maps with this one. */
function header(entry: string, spec: ObjectSpec): string {
  const guard = `${basename(entry)
    .replace(/[^A-Za-z0-9]+/g, "_")
    .toUpperCase()}_H`;
  return `#ifndef ${guard}\n#define ${guard}\n\n${spec.btf ? printC(spec.btf) : ""}\n#endif\n`;
}

function emitted(entry: string, spec: ObjectSpec, what: Exclude<Emitted, "ir" | "obj" | "js">): string {
  switch (what) {
    case "asm":
      return listObject(spec);
    case "d.ts":
      return declarationsOf(entry, { readFile }) ?? "";
    case "c-header":
      return header(entry, spec);
    case "c":
      return spec.btf ? printC(spec.btf) : "";
    default:
      return spec.btf ? printBtf(spec.btf) : "";
  }
}

function isFailed(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some((each) => each.severity === "error");
}

async function writeIr(entry: string, options: CompileOptions): Promise<number> {
  const { text, diagnostics } = irText(entry, { readFile }, settings(options));
  report(diagnostics);
  if (text === null || isFailed(diagnostics)) return EXIT_FAILED;
  await write(text);
  return 0;
}

/** The pure functions: to the standard output, or to a file with its declarations beside. */
async function writeJavaScript(entry: string, options: CompileOptions): Promise<number> {
  const { code, declarations, skipped, diagnostics } = compileJavaScript(entry, { readFile });
  report(diagnostics);
  if (isFailed(diagnostics)) return EXIT_FAILED;
  for (const { name, reason } of skipped) process.stderr.write(`${name} has no JavaScript: ${reason}\n`);
  if (code === null || declarations === null) {
    process.stderr.write(`${nearPath(entry)} exports no pure function\n`);
    return EXIT_FAILED;
  }
  if (options.output === undefined) await write(code);
  else {
    writeTo(options.output, code);
    writeTo(options.output.replace(/\.([cm]?)js$/, ".d.$1ts"), declarations);
  }
  return 0;
}

function writeOutput(entry: string, spec: ObjectSpec, options: CompileOptions): void {
  writeTo(options.output ?? entry.replace(/(\.bpf)?\.ts$/, ".o"), writeObject(spec));
}

function writeTo(output: string, contents: string | Uint8Array): void {
  try {
    writeFileSync(output, contents);
  } catch (error) {
    const code = systemCode(error);
    if (code === null) throw error;
    throw new CliError(`${output} cannot be written: ${code}`, EXIT_FAILED, { cause: error });
  }
}

interface Once {
  readonly status: number;
  /** Files that were read. */
  readonly files: readonly string[];
}

async function compileOnce(entry: string, options: CompileOptions): Promise<Once> {
  const { spec, diagnostics, sources } = compile(entry, { readFile }, settings(options));
  const files = Object.keys(sources);
  report(diagnostics);
  if (spec === null || isFailed(diagnostics)) return { status: EXIT_FAILED, files };
  if (options.explain !== undefined) {
    const name = options.explain;
    const text = explainFunction(spec, name) ?? explainInlined(spec, name, functionPlaces(sources, entry, name));
    const names = [...Object.keys(spec.programs), ...Object.keys(spec.functions)].join(", ");
    if (text === null) throw usageError(`there is no function ${options.explain}: there are ${names}`);
    await write(text);
    return { status: 0, files };
  }
  if (options.check === true) return { status: 0, files };
  if (options.emit !== undefined && options.emit !== "ir" && options.emit !== "obj" && options.emit !== "js") {
    await write(emitted(entry, spec, options.emit));
    if (options.output === undefined) return { status: 0, files };
  }
  writeOutput(entry, spec, options);
  return { status: 0, files };
}

/** Compiles whenever a file that was read changes, until it is interrupted. */
async function watch(entry: string, options: CompileOptions): Promise<number> {
  let { status, files } = await compileOnce(entry, options);
  const signal = options.signal ?? interrupted();
  while (!signal.aborted) {
    await changed(files.length > 0 ? files : [entry], signal);
    if (signal.aborted) break;
    ({ status, files } = await compileOnce(entry, options));
    process.stderr.write(`${nearPath(entry)}: ${status === 0 ? "compiled" : "failed"}\n`);
  }
  return status;
}

function interrupted(): AbortSignal {
  const controller = new AbortController();
  process.once("SIGINT", () => controller.abort());
  return controller.signal;
}

const SETTLE = 30;

/** The next change of one of the files; editors write in several steps, so a moment passes. */
function changed(files: readonly string[], signal: AbortSignal): Promise<void> {
  const wanted = new Set(files.map((file) => resolve(file)));
  return new Promise((done) => {
    const watchers = [...new Set([...wanted].map((file) => dirname(file)))].map((folder) =>
      watchFolder(folder, (_event, name) => {
        if (name === null || wanted.has(resolve(folder, name))) setTimeout(finish, SETTLE);
      }),
    );
    const finish = (): void => {
      for (const watcher of watchers) watcher.close();
      signal.removeEventListener("abort", finish);
      done();
    };
    signal.addEventListener("abort", finish);
    if (signal.aborted) finish();
  });
}

export async function compileFile(options: CompileOptions): Promise<number> {
  const entry = resolve(options.file);
  if (!existsSync(entry)) throw usageError(`there is no ${options.file}`);
  if (!entry.endsWith(".ts")) throw usageError(`${options.file} is not a TypeScript module (FILE.bpf.ts)`);
  if (options.watch === true) return watch(entry, options);
  if (options.emit === "ir") return writeIr(entry, options);
  if (options.emit === "js") return writeJavaScript(entry, options);
  return (await compileOnce(entry, options)).status;
}
