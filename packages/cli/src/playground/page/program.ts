/**
 * @module
 * The text of the editor: compiled, listed, verified.
 */
import { compile, formatDiagnostic } from "@skep/compiler";
import { type CodeReference, type Diagnostic, disassemble } from "@skep/isa";
import type { FunctionSpec, ObjectSpec } from "@skep/object";
import { type Verification, verify } from "@skep/verifier";
import { FILE } from "./work.ts";

export interface Problem {
  readonly diagnostic: Diagnostic;
  /** With the line and a caret under the place. */
  readonly text: string;
}

export interface Compiled {
  readonly spec: ObjectSpec | null;
  readonly problems: readonly Problem[];
}

export function compileText(text: string): Compiled {
  const { spec, diagnostics } = compile(FILE, { readFile: (path) => (path === FILE ? text : undefined) });
  const problems = diagnostics.map((diagnostic) => ({
    diagnostic,
    text: formatDiagnostic(diagnostic, diagnostic.span?.file === FILE ? text : undefined),
  }));
  return { spec: diagnostics.some(({ severity }) => severity === "error") ? null : spec, problems };
}

function listFunction(spec: FunctionSpec): string {
  const references = spec.references.flatMap((each): CodeReference[] => (each.kind === "extern" ? [] : [each]));
  const instructions = disassemble(spec.instructions, { style: "listing", references }).trimEnd().split("\n");
  const sources = new Map(spec.lines.map((line) => [line.at, line]));
  let shown = 0;
  const lines = instructions.flatMap((text, at) => {
    const source = sources.get(at);
    if (source === undefined || source.line === shown) return [text];
    shown = source.line;
    return [`; ${source.line}: ${source.text.trim()}`, text];
  });
  return `${spec.name}:\n${lines.join("\n")}\n`;
}

/** Every instruction under the source line that it comes from. */
export function listing(spec: ObjectSpec): string {
  return [...Object.values(spec.programs), ...Object.values(spec.functions)].map(listFunction).join("\n");
}

export function verifyAll(spec: ObjectSpec): Verification[] {
  return Object.keys(spec.programs).map((name) => verify(spec, name));
}
