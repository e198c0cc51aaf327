/**
 * @module
 * The shape of a program before it is walked: functions end where they must, jumps stay inside, everything is reached (check_subprogs,
 * check_cfg; kernel/bpf/verifier.c). And the places where states are kept and compared.
 */
import { CALL, EXIT, fieldProblem, NOSPEC, pseudoCall } from "@skep/isa";
import type { Instruction } from "@skep/isa";
import type { Env } from "../env.ts";
import { isConditional, isFunctionAddress, isGoto, isLocalCall } from "./code.ts";
import type { Code, Subprogram } from "./code.ts";

const MAX_SUBPROGRAMS = 256;
const MAX_INSTRUCTIONS = 1_000_000;
const CALLX = 0x8d;

/** What is wrong with an instruction's fields, as the kernel sees it; null: nothing. */
export function malformed(insn: Instruction): string | null {
  if (insn.opcode === NOSPEC || insn.opcode === CALLX) return `there is no instruction 0x${insn.opcode.toString(16)}`;
  const isMove = (insn.opcode & 0xf7) === 0xb7 || (insn.opcode & 0xf7) === 0xb4;
  if (isMove && insn.offset === -1) return "unused field offset is -1, not 0";
  // The kernel does not look at the offset of exit.
  const problem = fieldProblem(insn.opcode === EXIT ? { ...insn, offset: 0 } : insn);
  return problem === null ? null : problem.message;
}

/** What the kernel looks at also where nothing reaches it (resolve_pseudo_ldimm64): opcodes, and places in data sections. */
function checkInstructions(env: Env): void {
  const { code } = env;
  code.instructions.forEach((insn, at) => {
    env.at = at;
    const isUnknown = insn.opcode === NOSPEC || insn.opcode === CALLX || fieldProblem(insn)?.field === "opcode";
    if (isUnknown) env.refuse("malformed", `there is no instruction 0x${insn.opcode.toString(16)}`);
    const target = code.targets.get(at);
    if (target?.kind !== "value" || target.map.type === "arena") return;
    const { name, type, maxEntries, valueSize } = target.map;
    if (type !== "array" || maxEntries !== 1) env.refuse("map-and-helper", `map ${name} is no data section`);
    if (target.offset >>> 0 >= valueSize)
      env.refuse("value-bounds", `byte ${target.offset} is outside of the value of ${name} of ${valueSize} bytes`);
  });
}

export function checkFlow(env: Env): void {
  const { code } = env;
  checkInstructions(env);
  if (code.count === 0) env.refuse("falls-off", "the program is empty");
  if (code.subprograms.length > MAX_SUBPROGRAMS) env.refuse("too-many", `more than ${MAX_SUBPROGRAMS} functions`);
  if (code.count > MAX_INSTRUCTIONS) env.refuse("too-many", `more than ${MAX_INSTRUCTIONS} instructions`);
  for (const each of code.subprograms) checkSubprogram(env, each);
  checkReached(env);
}

function checkSubprogram(env: Env, subprogram: Subprogram): void {
  const { code } = env;
  for (let at = subprogram.start; at < subprogram.end; at++) {
    env.at = at;
    const opcode = code.opcode[at] as number;
    const target = code.target[at] as number;
    if (isConditional(opcode) || isGoto(opcode)) {
      if (target < subprogram.start || target >= subprogram.end)
        env.refuse("jump-target", "the jump leads out of its function");
    } else if ((isLocalCall(code, at) || isFunctionAddress(code, at)) && target < 0) {
      env.refuse("jump-target", "the call leads to no instruction");
    }
  }
  const last = code.opcode[subprogram.end - 1] as number;
  env.at = subprogram.end - 1;
  if (last !== EXIT && !isGoto(last)) env.refuse("falls-off", `${subprogram.name} does not end with exit or a jump`);
}

function checkReached(env: Env): void {
  const { code } = env;
  const seen = new Uint8Array(code.count);
  // The program, and a callback for exceptions, which nothing calls.
  const pending = [0, ...(env.exceptionCallback < 0 ? [] : [env.exceptionCallback])];
  while (pending.length > 0) {
    const at = pending.pop() as number;
    if (at < 0 || at >= code.count || seen[at] === 1) continue;
    seen[at] = 1;
    const opcode = code.opcode[at] as number;
    if (isConditional(opcode) || isGoto(opcode)) pending.push(code.target[at] as number);
    if (isLocalCall(code, at) || isFunctionAddress(code, at)) pending.push(code.target[at] as number);
    if (opcode !== EXIT && !isGoto(opcode)) pending.push(at + 1);
  }
  const lost = seen.indexOf(0);
  if (lost < 0) return;
  env.at = lost;
  env.refuse("unreachable", "nothing reaches this instruction");
}

/** `prune`: states are compared here; `force`: always kept. */
export interface Points {
  readonly prune: Uint8Array;
  readonly force: Uint8Array;
}

const JCOND = 0xe5;

export function statePoints(code: Code, callsBack: (at: number) => boolean, isNext: (at: number) => boolean): Points {
  const prune = new Uint8Array(code.count);
  const force = new Uint8Array(code.count);
  for (let at = 0; at < code.count; at++) {
    const opcode = code.opcode[at] as number;
    if (isConditional(opcode)) {
      prune[at] = 1;
      prune[code.target[at] as number] = 1;
      if (opcode === JCOND) force[at] = 1;
    } else if (isGoto(opcode)) {
      prune[code.target[at] as number] = 1;
      prune[at] = 1;
    } else if (opcode === EXIT) prune[at] = 1;
    else if (opcode === CALL && code.src[at] !== pseudoCall.local && (callsBack(at) || isNext(at))) {
      prune[at] = 1;
      force[at] = 1;
    } else if (isLocalCall(code, at)) prune[at + 1] = 1;
  }
  return { prune, force };
}
