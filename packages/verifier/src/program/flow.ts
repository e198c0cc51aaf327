/**
 * @module
 * The shape of a program before it is walked: functions end where they must, jumps stay inside, everything is reached (check_subprogs,
 * check_cfg; kernel/bpf/verifier.c). And the places where states are kept and compared.
 */
import { CALL, EXIT, fieldProblem, insnClass, NOSPEC, pseudoCall } from "@skep/isa";
import type { Instruction } from "@skep/isa";
import { returnsNumber } from "../calls/global.ts";
import type { Env } from "../env.ts";
import { isConditional, isFunctionAddress, isGoto, isLocalCall } from "./code.ts";
import type { Code, Subprogram } from "./code.ts";
import type { MapInfo } from "./maps.ts";

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
    const isLoad = (insn.opcode & 7) === insnClass.ldx;
    if (isLoad && insn.imm !== 0) env.refuse("malformed", `a load with the unused number ${insn.imm}`);
    const isUnknown = insn.opcode === NOSPEC || insn.opcode === CALLX || fieldProblem(insn)?.field === "opcode";
    if (isUnknown) env.refuse("malformed", `there is no instruction 0x${insn.opcode.toString(16)}`);
    if (insn.opcode === CALL && insn.src === pseudoCall.kfunc) checkFunction(env, at, insn.offset);
    const target = code.targets.get(at);
    if (target?.kind === "value" || target?.kind === "map") checkMap(env, target.map);
    if (target?.kind !== "value" || target.map.type === "arena") return;
    const { name, type, maxEntries, valueSize } = target.map;
    if (type !== "array" || maxEntries !== 1) env.refuse("map-and-helper", `map ${name} is no data section`);
    if (target.offset >>> 0 >= valueSize)
      env.refuse("value-bounds", `byte ${target.offset} is outside of the value of ${name} of ${valueSize} bytes`);
  });
}

const tracing = new Set(["kprobe", "tracepoint", "perf_event", "raw_tracepoint", "raw_tracepoint_writable"]);
const locks = new Set(["spin_lock", "res_spin_lock"]);
const notForTracing = new Set([...locks, "list_head", "rb_root", "timer", "wq"]);
/** Maps whose elements programs that sleep may hold. */
const forSleeping =
  /^((lru_)?(percpu_)?hash|(percpu_)?array|(array|hash)_of_maps|(user_)?ringbuf|(inode|sk|task|cgrp)_storage|queue|stack|arena)$/;

/** check_map_prog_compatibility */
function checkMap(env: Env, map: MapInfo): void {
  const { type, sleepable } = env.kind;
  for (const field of map.fields) {
    const isFor = tracing.has(type)
      ? !notForTracing.has(field.kind)
      : type !== "socket_filter" || !locks.has(field.kind);
    if (!isFor) env.refuse("special-field", `${type} programs cannot use a map with a ${field.kind}: ${map.name}`);
  }
  if (map.type === "struct_ops")
    env.refuse("map-and-helper", `${map.name} is a struct of the kernel's, not for programs`);
  if (sleepable && !forSleeping.test(map.type))
    env.refuse("sleeps", `programs that sleep cannot use maps of type ${map.type}: ${map.name}`);
}

const TAIL_CALL = 12;

/** Functions that can be left in their middle must give a number (check_abnormal_return, check_btf_func). */
function checkEarlyExits(env: Env): void {
  const { code } = env;
  for (const each of code.subprograms) {
    if (each.index === 0) continue;
    const isTyped = each.typeId !== 0 && env.types !== null;
    if (isTyped && returnsNumber(env, each.index)) continue;
    const why = isTyped ? "that gives no number" : "of which no types are known";
    for (let at = each.start; at < each.end; at++) {
      env.at = at;
      const opcode = code.opcode[at] as number;
      if (opcode === CALL && code.src[at] === 0 && code.imm[at] === TAIL_CALL)
        env.refuse("tail-call", `a tail call in ${each.name}, a function ${why}`);
      if ((opcode & 7) === insnClass.ld && (opcode & 0xe0) !== 0)
        env.refuse("context-access", `a packet load in ${each.name}, a function ${why}`);
    }
  }
}

/** add_kfunc_call: an offset names a module, and nobody names one here. */
function checkFunction(env: Env, at: number, offset: number): void {
  if (!env.kind.isGpl) env.refuse("licence", "kernel functions are for programs with a GPL-compatible licence");
  if (env.code.targets.get(at)?.kind !== "kfunc")
    env.refuse("unknown-kfunc", "the kernel has no function of that number");
  if (offset !== 0) env.refuse("unknown-kfunc", "the function is of a module that is not known");
}

export function checkFlow(env: Env): void {
  const { code } = env;
  checkInstructions(env);
  checkEarlyExits(env);
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
