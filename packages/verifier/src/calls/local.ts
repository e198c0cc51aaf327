/**
 * @module
 * Calls of the program's own functions and their returns (check_func_call, prepare_func_exit; kernel/bpf/verifier.c).
 */
import type { Env } from "../env.ts";
import { MAX_FRAMES } from "../env.ts";
import { describeReg } from "../explain/describe.ts";
import { forgetPackets } from "../memory/packet.ts";
import { goneValue, refuseAddress } from "../privilege/privilege.ts";
import { markPrecise } from "../pruning/precision.ts";
import { UNKNOWN, kind } from "../register.ts";
import type { Reg } from "../register.ts";
import { Frame } from "../state.ts";
import { stackPointer } from "./callbacks.ts";
import { checkGlobalArguments } from "./global.ts";
import { clobber } from "./helper.ts";
import { checkNothingHeld, heldLock } from "./references.ts";

export function callLocal(env: Env): void {
  const { code, at } = env;
  const target = code.target[at] as number;
  const callee = code.subprograms[code.subprogramOf[target] as number];
  if (callee === undefined) return;
  if (callee.isGlobal) {
    callGlobal(env, callee.index);
    return;
  }
  if (env.state.frames.length >= MAX_FRAMES) {
    env.refuse(
      "call-depth",
      `the call of ${callee.name} is the ${env.state.frames.length + 1}th frame, there can be ${MAX_FRAMES}`,
    );
    env.state.at = at + 1;
    return;
  }
  const frame = new Frame(callee.index, at, null);
  for (let i = 1; i <= 5; i++) frame.regs[i] = env.frame.reg(i);
  frame.regs[10] = stackPointer(env.state.frames.length);
  clobber(env);
  env.state.frames.push(frame);
  env.state.at = target;
}

function callGlobal(env: Env, index: number): void {
  const callee = env.code.subprograms[index];
  if (heldLock(env.state) !== null)
    env.refuse("lock-held", `${callee?.name ?? "a global function"} is called while a lock is held`);
  checkGlobalArguments(env, index);
  clobber(env);
  env.frame.regs[0] = UNKNOWN;
  if (env.changesPackets.has(index)) forgetPackets(env.state, goneValue(env));
  env.state.at = env.at + 1;
}

/** `exit`: back to the caller, or the end of the path. True: the path ends. */
export function leave(env: Env): boolean {
  const { state } = env;
  const { frame } = env;
  if (state.frames.length === 1) {
    checkNothingHeld(env, "the program ends");
    refuseAddress(env, frame.reg(0), "the program returns a pointer");
    checkResult(env);
    return true;
  }
  const result = frame.reg(0);
  if (result.kind === kind.stack) env.refuse("return-pointer", "a function returns a pointer to the stack");
  state.frames.pop();
  const caller = state.frame;
  if (frame.callback === null) {
    caller.regs[0] = result;
    state.at = frame.callSite + 1;
    return false;
  }
  state.frames.push(frame);
  checkCallbackResult(env, result, frame);
  state.frames.pop();
  state.at = frame.callSite;
  return false;
}

function checkCallbackResult(env: Env, result: Reg, frame: Frame): void {
  const { callback } = frame;
  if (callback === null) return;
  if (result.kind !== kind.scalar) {
    env.refuse("return-pointer", `the callback of ${callback.name} returns ${describeReg(result)}, not a number`);
    return;
  }
  markPrecise(env, 0);
  if (result.smin < callback.minReturn || result.smax > callback.maxReturn) {
    env.refuse(
      "return-range",
      `the callback of ${callback.name} returns ${describeReg(result)}; it must be ${callback.minReturn} to ${callback.maxReturn}`,
    );
  }
}

/** check_return_code */
function checkResult(env: Env): void {
  const { frame, kind: program } = env;
  const result = frame.reg(0);
  if (frame.callback !== null) {
    checkCallbackResult(env, result, frame);
    return;
  }
  if (program.type === "struct_ops" && program.prototype?.returnTypeId === 0 && frame.subprogram === 0) return;
  if (result.kind === kind.none) {
    env.refuse("void-return", "r0 has no value at the end");
    return;
  }
  if (frame.subprogram !== 0 && !env.exceptionEntry) {
    if (result.kind !== kind.scalar)
      env.refuse("return-pointer", `a global function returns ${describeReg(result)}, not a number`);
    return;
  }
  checkProgramResult(env, result);
}

/** What the program, or what it throws, may be (check_return_code). */
export function checkProgramResult(env: Env, result: Reg): void {
  const { kind: program } = env;
  const range = program.returns;
  if (range === null) return;
  if (result.kind !== kind.scalar) {
    env.refuse("return-range", `the program returns ${describeReg(result)}, not a number`);
    return;
  }
  markPrecise(env, 0);
  if (result.smin < range.min || result.smax > range.max) {
    env.refuse(
      "return-range",
      `the program returns ${describeReg(result)}; ${program.type} takes ${range.min} to ${range.max}`,
    );
  }
}
