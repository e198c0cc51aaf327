/**
 * @module
 * Functions that helpers call back: walked as a frame of the path (loops), or as a path of their own (timers)
 * (push_callback_call and set_*_callback_state, kernel/bpf/verifier.c).
 */
import type { Env, LaterCall } from "../env.ts";
import { MAX_FRAMES } from "../env.ts";
import { dynptrKind } from "../memory/objects.ts";
import { markPrecise } from "../pruning/precision.ts";
import { findPreviousEntry, widenImprecise } from "../pruning/widen.ts";
import { UNKNOWN, flag, kind, pointer } from "../register.ts";
import type { Reg } from "../register.ts";
import { Frame, State } from "../state.ts";
import type { CallbackInfo } from "../state.ts";
import { pushBranch } from "../step/branches.ts";
import type { MapInfo } from "../program/maps.ts";
import type { CallInfo } from "./arguments.ts";

const synchronous = new Set(["loop", "for_each_map_elem", "find_vma", "user_ringbuf_drain"]);

export function callsBack(helper: string): boolean {
  return synchronous.has(helper);
}

function mapPointer(map: MapInfo | null): Reg {
  const reg = pointer(kind.map);
  reg.map = map;
  return reg;
}

function ofMap(map: MapInfo | null, what: typeof kind.mapKey | typeof kind.mapValue, mapUid: number, id = 0): Reg {
  const reg = pointer(what);
  reg.map = map;
  reg.mapUid = mapUid;
  reg.id = id;
  return reg;
}

/** r1 to r5 as the helper hands them to the callback. */
function argumentsFor(env: Env, helper: string, call: CallInfo): Reg[] {
  const { frame } = env;
  switch (helper) {
    case "loop":
      return [UNKNOWN, frame.reg(3)];
    case "for_each_map_elem":
      return [
        frame.reg(1),
        ofMap(call.map, kind.mapKey, 0),
        ofMap(call.map, kind.mapValue, 0, env.newId()),
        frame.reg(3),
      ];
    case "find_vma": {
      const vma = pointer(kind.btf, flag.trusted);
      vma.typeId = env.kernel?.structNamed("vm_area_struct") ?? 0;
      return [frame.reg(1), vma, frame.reg(4)];
    }
    default: {
      const dynptr = pointer(kind.dynptr, flag.readOnly);
      dynptr.size = dynptrKind.local;
      dynptr.id = env.newId();
      return [dynptr, frame.reg(3)];
    }
  }
}

function newFrame(env: Env, call: CallInfo, info: CallbackInfo, args: readonly Reg[]): Frame {
  const frame = new Frame(call.subprogram, env.at, info);
  args.forEach((reg, index) => (frame.regs[index + 1] = reg));
  return frame;
}

/** Another round of the callback waits to be walked; this path goes on as if the loop had ended. */
export function callSynchronously(env: Env, helper: string, call: CallInfo): void {
  if (call.subprogram < 0) return;
  if (checkCallback(env, call)) return;
  if (helper === "loop") {
    markPrecise(env, 1);
    // Enough rounds were walked for the number of them that is known.
    if (env.frame.callbackDepth >= env.frame.reg(1).umax) {
      env.frame.callbackDepth = 0;
      return;
    }
  }
  const start = env.code.subprograms[call.subprogram]?.start ?? 0;
  const args = argumentsFor(env, helper, call);
  const again = pushBranch(env, start);
  again.unrollDepth++;
  again.frame.callbackDepth++;
  const info = { name: helper, isAsync: false, minReturn: 0, maxReturn: 1, loops: true };
  const frame = newFrame(env, call, info, args);
  pushFrame(env, again, frame);
  const before = findPreviousEntry(env.state, env.at);
  if (before !== null) widenCaller(before, again);
  env.frame.callbackDepth = 0;
}

/** A function of the program that the kernel calls from within this call, any number of times. */
export function callOnce(
  env: Env,
  name: string,
  what: { readonly subprogram: number; readonly args: readonly Reg[] },
): void {
  const callee = env.code.subprograms[what.subprogram];
  if (callee === undefined || callee.isGlobal) {
    env.refuse("callback", `${callee?.name ?? "the callback"} is no static function`);
    return;
  }
  const info = { name, isAsync: false, minReturn: 0, maxReturn: 1, loops: true };
  const frame = new Frame(callee.index, env.at, info);
  what.args.forEach((reg, index) => (frame.regs[index + 1] = reg));
  pushFrame(env, pushBranch(env, callee.start), frame);
}

function widenCaller(before: State, again: State): void {
  const callee = again.frames.pop();
  widenImprecise(before, again);
  if (callee !== undefined) again.frames.push(callee);
}

function pushFrame(env: Env, state: State, frame: Frame): void {
  if (state.frames.length >= MAX_FRAMES) env.refuse("call-depth", `more than ${MAX_FRAMES} frames`);
  frame.regs[10] = stackPointer(state.frames.length);
  state.frames.push(frame);
}

/** r10 of the frame with this number. */
export function stackPointer(index: number): Reg {
  const reg = pointer(kind.stack);
  reg.size = index;
  return reg;
}

/** A callback is a static function of the program. */
function checkCallback(env: Env, call: Pick<CallInfo, "subprogram">): boolean {
  const callee = env.code.subprograms[call.subprogram];
  if (callee === undefined || callee.isGlobal) {
    env.refuse("callback", `${callee?.name ?? "the callback"} is no static function`);
    return callee === undefined;
  }
  return false;
}

/** It runs later, with nothing of this path but the map: walked once for each map that it is set for. */
export function callLater(env: Env, later: LaterCall): void {
  const { name, subprogram, map, sleepable } = later;
  if (subprogram < 0 || checkCallback(env, later)) return;
  const isWalked = env.later.some(
    (each) => each.subprogram === subprogram && each.map === map && each.sleepable === sleepable,
  );
  if (isWalked) return;
  env.later.push(later);
  const most = later.anyResult ? 0x7fff_ffff : 0;
  const info = { name, isAsync: true, minReturn: later.anyResult ? -0x8000_0000 : 0, maxReturn: most, loops: false };
  const frame = new Frame(subprogram, -1, info);
  frame.regs[1] = mapPointer(map);
  frame.regs[2] = ofMap(map, kind.mapKey, 0);
  frame.regs[3] = ofMap(map, kind.mapValue, 0, env.newId());
  frame.regs[10] = stackPointer(0);
  const state = new State([frame], env.code.subprograms[subprogram]?.start ?? 0);
  state.sleepable = sleepable;
  env.waiting.push(state);
}
