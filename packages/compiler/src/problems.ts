/**
 * @module
 * Diagnostics as they are found: lowering refuses a node by throwing, the nearest statement goes on with the next one.
 */
import type ts from "typescript";
import type { Diagnostic } from "@skep/isa";
import { fill, PROBLEMS, type Problem, type ProblemName } from "./diagnostics.ts";
import { spanOfNode } from "./source.ts";
import { unsupportedHint } from "./unsupported-hints.ts";

/** Unwinds to the statement; the diagnostic is in the list already. */
export class Refused extends Error {
  override readonly name = "Refused";
}

function hintOfProblem(name: ProblemName, values: readonly string[]): string | null {
  const { hint }: Problem = PROBLEMS[name];
  if (name === "unsupported") return unsupportedHint(values[0] ?? "");
  return hint === undefined ? null : fill(hint, values);
}

export class Problems {
  readonly list: Diagnostic[] = [];
  #seen = new Set<string>();

  /** The same problem at the same place is told once, however often the function is inlined. */
  add(diagnostic: Diagnostic): void {
    const key = `${diagnostic.code} ${diagnostic.span?.file ?? ""} ${diagnostic.span?.offset ?? ""} ${diagnostic.message}`;
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    this.list.push(diagnostic);
  }

  /** `hint` is told in place of the problem's own. */
  report(node: ts.Node, name: ProblemName, values: readonly string[] = [], hint?: string): void {
    const problem: Problem = PROBLEMS[name];
    const told = hint ?? hintOfProblem(name, values);
    this.add({
      code: problem.code,
      severity: "error",
      message: fill(problem.message, values),
      span: spanOfNode(node),
      ...(told === null ? {} : { hint: told }),
    });
  }

  refuse(node: ts.Node, name: ProblemName, values: readonly string[] = [], hint?: string): never {
    this.report(node, name, values, hint);
    throw new Refused(name);
  }
}
