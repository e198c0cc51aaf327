/**
 * @module
 * `skep compile`: kernel TypeScript to an object file.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { relative, resolve } from "node:path";
import { compile, formatDiagnostic } from "@skep/compiler";
import type { Diagnostic } from "@skep/isa";
import { writeObject } from "@skep/object";
import { CliError, EXIT_FAILED, systemCode, usageError } from "../errors.ts";
import { hasColor } from "../output/print.ts";

export interface CompileOptions {
  readonly file: string;
  readonly output?: string;
  readonly check?: boolean;
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
  const near = relative(process.cwd(), span.file);
  return near.startsWith("..") ? diagnostic : { ...diagnostic, span: { ...span, file: near } };
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

export async function compileFile(options: CompileOptions): Promise<number> {
  const entry = resolve(options.file);
  if (!existsSync(entry)) throw usageError(`there is no ${options.file}`);
  if (!entry.endsWith(".ts")) throw usageError(`${options.file} is not a TypeScript module (FILE.bpf.ts)`);
  const { spec, diagnostics } = compile(entry, { readFile });
  report(diagnostics);
  if (spec === null || diagnostics.some((each) => each.severity === "error")) return EXIT_FAILED;
  if (options.check === true) return 0;
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
