/**
 * @module
 * Where a verification spends its budget: instructions walked and states kept, by function and line.
 */
import type { Env } from "../env.ts";
import { lineOf } from "../program/code.ts";
import type { Explored } from "../pruning/visit.ts";

export interface BudgetLine {
  /** The instruction. */
  readonly at: number;
  readonly file: string;
  readonly line: number;
  readonly text: string;
  readonly walked: number;
  readonly states: number;
}

export interface BudgetFunction {
  readonly name: string;
  readonly instructions: number;
  /** Instructions walked in it. */
  readonly walked: number;
  readonly states: number;
  /** Bytes of stack. */
  readonly stack: number;
  /** Where most is spent, the worst first; at most five. */
  readonly worst: readonly BudgetLine[];
}

export interface Budget {
  readonly walked: number;
  readonly states: number;
  readonly functions: readonly BudgetFunction[];
}

export function budgetOf(env: Env, explored: readonly Explored[]): Budget {
  const { code, knowledge } = env;
  const statesAt = new Int32Array(code.count);
  for (const each of explored) for (const [at, count] of each.made) statesAt[at] = (statesAt[at] as number) + count;
  const functions = code.subprograms.map((each): BudgetFunction => {
    let walked = 0;
    let states = 0;
    for (let at = each.start; at < each.end; at++) {
      walked += knowledge.visits[at] as number;
      states += statesAt[at] as number;
    }
    const worst = worstLines(env, each, statesAt);
    return {
      name: each.name,
      instructions: each.end - each.start,
      walked,
      states,
      stack: env.stackUse[each.index] as number,
      worst,
    };
  });
  return { walked: env.processed, states: explored.reduce((sum, each) => sum + each.total, 0), functions };
}

function worstLines(
  env: Env,
  range: { readonly start: number; readonly end: number },
  statesAt: Int32Array,
): BudgetLine[] {
  const byLine = new Map<string, BudgetLine>();
  for (let at = range.start; at < range.end; at++) {
    const walked = env.knowledge.visits[at] as number;
    if (walked === 0) continue;
    const line = lineOf(env.code, at);
    const key = line === null ? `@${at}` : `${line.file}:${line.line}`;
    const known = byLine.get(key);
    byLine.set(key, {
      at: known?.at ?? at,
      file: line?.file ?? "",
      line: line?.line ?? 0,
      text: line?.text.trim() ?? "",
      walked: (known?.walked ?? 0) + walked,
      states: (known?.states ?? 0) + (statesAt[at] as number),
    });
  }
  return [...byLine.values()].sort((a, b) => b.walked - a.walked).slice(0, 5);
}
