/**
 * @module
 * A refusal as a value: the rule, the place, the path that leads there, what the registers held along it.
 */
import type { Env } from "../env.ts";
import { lineOf } from "../program/code.ts";
import { kind } from "../register.ts";
import { rules } from "../rules.ts";
import type { Breach, Rule } from "../rules.ts";
import type { State } from "../state.ts";
import { describeReg } from "./describe.ts";

export interface SourcePlace {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly text: string;
}

export interface PathStep {
  /** Index of the instruction, as in the linked program. */
  readonly instruction: number;
  readonly function: string;
  readonly source: SourcePlace | null;
  /** What is done: the branch that is taken, a call, a return. */
  readonly what: "start" | "taken" | "not-taken" | "call" | "return" | "end";
}

export interface RegisterValue {
  readonly register: number;
  readonly value: string;
}

export interface Refusal {
  /** Such as `VER3007`. */
  readonly code: string;
  readonly rule: Rule;
  /** What is wrong here. */
  readonly reason: string;
  /** The rule in general. */
  readonly explanation: string;
  /** Index of the instruction, as in the linked program (`lddw` counts once). */
  readonly instruction: number;
  /** Its first slot, as the kernel counts. */
  readonly slot: number;
  readonly function: string;
  readonly source: SourcePlace | null;
  readonly path: readonly PathStep[];
  /** At the instruction, before it. */
  readonly registers: readonly RegisterValue[];
  /** Values that the path allows and that break the rule, where some can be named. */
  readonly counterexample: string | null;
  readonly mend: string;
}

export function explain(env: Env, breach: Breach): Refusal {
  const [code, explanation, mend] = rules[breach.rule];
  const { at } = breach;
  return {
    code,
    rule: breach.rule,
    reason: breach.message,
    explanation,
    instruction: at,
    slot: env.code.slotOf[at] ?? 0,
    function: functionOf(env, at),
    source: sourceOf(env, at),
    path: pathOf(env),
    registers: registersOf(env),
    counterexample: breach.example,
    mend,
  };
}

function functionOf(env: Env, at: number): string {
  return env.code.subprograms[env.code.subprogramOf[at] ?? 0]?.name ?? "";
}

function sourceOf(env: Env, at: number): SourcePlace | null {
  const line = lineOf(env.code, at);
  return line === null ? null : { file: line.file, line: line.line, column: line.column, text: line.text };
}

function registersOf(env: Env): RegisterValue[] {
  if (env.state.frames.length === 0) return [];
  const values: RegisterValue[] = [];
  env.frame.regs.forEach((reg, register) => {
    if (reg.kind !== kind.none && register < 10) values.push({ register, value: describeReg(reg) });
  });
  return values;
}

/** Every instruction of the path, oldest first. */
export function walkedPath(state: State): number[] {
  const segments: number[][] = [];
  for (let at: State | null = state; at !== null; at = at.parent)
    segments.push(at.history.map((step) => step & 0xf_ffff));
  return segments.reverse().flat();
}

const LONGEST = 200;

function pathOf(env: Env): PathStep[] {
  const path = walkedPath(env.state);
  const steps: PathStep[] = [];
  path.forEach((at, i) => {
    const what = whatHappens(env, at, { previous: path[i - 1], next: path[i + 1] });
    if (what !== null) steps.push({ instruction: at, function: functionOf(env, at), source: sourceOf(env, at), what });
  });
  return steps.length <= LONGEST ? steps : [...steps.slice(0, 20), ...steps.slice(-(LONGEST - 20))];
}

function whatHappens(
  env: Env,
  at: number,
  around: { readonly previous: number | undefined; readonly next: number | undefined },
): PathStep["what"] | null {
  if (around.previous === undefined) return "start";
  if (around.next === undefined) return "end";
  const opcode = env.code.opcode[at] as number;
  const isJump = (opcode & 7) >= 5 && (opcode & 7) <= 6;
  if (!isJump || opcode === 0x05 || opcode === 0x06) return null;
  if (opcode === 0x95) return "return";
  if (opcode === 0x85) return around.next === at + 1 ? null : "call";
  return around.next === env.code.target[at] ? "taken" : "not-taken";
}
