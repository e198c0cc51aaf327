/**
 * @module
 * Diagnostics as they are found: lowering refuses a node by throwing, the nearest statement goes on with the next one.
 */
import type ts from "typescript";
import type { Diagnostic } from "@skep/isa";
import { fill, PROBLEMS, type Problem, type ProblemName } from "./diagnostics.ts";
import { spanOfNode } from "./source.ts";

/** Unwinds to the statement; the diagnostic is in the list already. */
export class Refused extends Error {
  override readonly name = "Refused";
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

  report(node: ts.Node, name: ProblemName, values: readonly string[] = []): void {
    const problem: Problem = PROBLEMS[name];
    this.add({
      code: problem.code,
      severity: "error",
      message: fill(problem.message, values),
      span: spanOfNode(node),
      ...(problem.hint === undefined ? {} : { hint: fill(problem.hint, values) }),
    });
  }

  refuse(node: ts.Node, name: ProblemName, values: readonly string[] = []): never {
    this.report(node, name, values);
    throw new Refused(name);
  }
}
