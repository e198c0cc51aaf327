/**
 * @module
 * `skep compile`: kernel TypeScript to an object file.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { compile, formatDiagnostic } from "@skep/compiler";
import type { Diagnostic } from "@skep/isa";
import { type ObjectSpec, printBtf, printC, writeObject } from "@skep/object";
import { CliError, EXIT_FAILED, systemCode, usageError } from "../errors.ts";
import { listObject, nearPath } from "../output/listing.ts";
import { hasColor, write } from "../output/print.ts";

export interface CompileOptions {
  readonly file: string;
  readonly output?: string;
  readonly check?: boolean;
  readonly emit?: "asm" | "btf" | "c";
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

function emitted(spec: ObjectSpec, what: NonNullable<CompileOptions["emit"]>): string {
  if (what === "asm") return listObject(spec);
  if (!spec.btf) return "";
  return what === "c" ? printC(spec.btf) : printBtf(spec.btf);
}

export async function compileFile(options: CompileOptions): Promise<number> {
  const entry = resolve(options.file);
  if (!existsSync(entry)) throw usageError(`there is no ${options.file}`);
  if (!entry.endsWith(".ts")) throw usageError(`${options.file} is not a TypeScript module (FILE.bpf.ts)`);
  const { spec, diagnostics } = compile(entry, { readFile });
  report(diagnostics);
  if (spec === null || diagnostics.some((each) => each.severity === "error")) return EXIT_FAILED;
  if (options.check === true) return 0;
  if (options.emit !== undefined) {
    await write(emitted(spec, options.emit));
    if (options.output === undefined) return 0;
  }
  const output = options.output ?? entry.replace(/(\.bpf)?\.ts$/, ".o");
  try {
    writeFileSync(output, writeObject(spec));
  } catch (error) {
    const code = systemCode(error);
    if (code === null) throw error;
    throw new CliError(`${output} cannot be written: ${code}`, EXIT_FAILED, { cause: error });
  }
  return 0;
}
