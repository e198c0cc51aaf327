/**
 * @module
 * Stack of nested calls (check_max_stack_depth, kernel/bpf/verifier.c): frames of one chain share 512 bytes.
 */
import { CALL } from "@skep/isa";
import type { Env } from "../env.ts";
import { MAX_FRAMES, STACK_SIZE } from "../env.ts";
import { isFunctionAddress, isLocalCall } from "./code.ts";

const TAIL_CALL = 12;
/** Of a chain in which a tail call follows. */
const TAIL_CALL_LIMIT = 256;
/** Their functions have a stack each (private stack, since 6.13 on x86). */
const withOwnStacks = new Set(["kprobe", "tracepoint", "perf_event", "raw_tracepoint"]);

/** Rounded as the x86 JIT does. */
function rounded(bytes: number): number {
  return Math.ceil(Math.max(bytes, 1) / 16) * 16;
}

export function checkStackDepth(env: Env): void {
  const ownStacks = env.kind.kernel >= 6013 && withOwnStacks.has(env.kind.type);
  const { code } = env;
  const callees = code.subprograms.map((each) => {
    const found: { readonly at: number; readonly index: number }[] = [];
    for (let at = each.start; at < each.end; at++) {
      if (!isLocalCall(code, at) && !isFunctionAddress(code, at)) continue;
      found.push({ at, index: code.subprogramOf[code.target[at] as number] as number });
    }
    return found;
  });
  const tails = code.subprograms.map((each) => {
    for (let at = each.start; at < each.end; at++) {
      if (code.opcode[at] === CALL && code.src[at] === 0 && code.imm[at] === TAIL_CALL) return true;
    }
    return false;
  });
  const deepest = new Map<string, number>();
  const walk = (index: number, above: number, frames: number): void => {
    const depth = (ownStacks ? 0 : above) + rounded(env.stackUse[index] as number);
    const key = `${index}:${frames}`;
    if ((deepest.get(key) ?? -1) >= depth) return;
    deepest.set(key, depth);
    env.at = code.subprograms[index]?.start ?? 0;
    if (depth > STACK_SIZE)
      env.refuse(
        "stack-depth",
        `the frames down to ${code.subprograms[index]?.name ?? ""} need ${depth} bytes of stack`,
      );
    if (frames > 1 && tails[index] === true && above >= TAIL_CALL_LIMIT) {
      env.refuse(
        "stack-depth",
        `callers of a function with a tail call use ${above} bytes of stack, ${TAIL_CALL_LIMIT} are too many`,
      );
    }
    if (frames > MAX_FRAMES) {
      env.refuse("call-depth", `calls nest ${frames} deep`);
      return;
    }
    for (const { index: callee } of callees[index] ?? []) walk(callee, depth, frames + 1);
  };
  walk(0, 0, 1);
}
