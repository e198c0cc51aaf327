/**
 * @module
 * Stack of nested calls (check_max_stack_depth, kernel/bpf/verifier.c): frames of one chain share 512 bytes.
 */
import { CALL } from "@skep/isa";
import type { Env } from "../env.ts";
import { MAX_FRAMES, STACK_SIZE } from "../env.ts";
import { isFunctionAddress, isLocalCall } from "./code.ts";
import type { Code } from "./code.ts";

const TAIL_CALL = 12;
/** Of a chain in which a tail call follows. */
const TAIL_CALL_LIMIT = 256;
/** Their functions may have a stack each (bpf_enable_priv_stack, since 6.13 on x86). */
const withOwnStacks = new Set(["kprobe", "tracepoint", "perf_event", "raw_tracepoint"]);
/** From so many bytes on (BPF_PRIV_STACK_MIN_SIZE); smaller frames go on the common stack. */
const OWN_STACK = 64;

/** Rounded as the x86 JIT does. */
function rounded(bytes: number): number {
  return Math.ceil(Math.max(bytes, 1) / 16) * 16;
}

function callsTail(code: Code, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    if (code.opcode[at] === CALL && code.src[at] === 0 && code.imm[at] === TAIL_CALL) return true;
  }
  return false;
}

interface Callee {
  readonly index: number;
  /** Its address is taken: something else calls it. */
  readonly isAddress: boolean;
}

function calleesOf(code: Code, start: number, end: number): Callee[] {
  const found: Callee[] = [];
  for (let at = start; at < end; at++) {
    if (isLocalCall(code, at) || isFunctionAddress(code, at))
      found.push({
        index: code.subprogramOf[code.target[at] as number] as number,
        isAddress: isFunctionAddress(code, at),
      });
  }
  return found;
}

export function checkStackDepth(env: Env): void {
  const { code } = env;
  const callees = code.subprograms.map((each) => calleesOf(code, each.start, each.end));
  const tails = code.subprograms.map((each) => callsTail(code, each.start, each.end));
  const ownStacks = env.kind.kernel >= 6013 && withOwnStacks.has(env.kind.type) && !tails.includes(true);
  const runsLater = new Set(env.later.map((each) => each.subprogram));
  const deepest = new Map<string, number>();
  const walk = (index: number, above: number, frames: number, isOwn: boolean): void => {
    const own = rounded(env.stackUse[index] as number);
    const depth = isOwn && own >= OWN_STACK ? above : above + own;
    const key = `${index}:${frames}:${isOwn}`;
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
    for (const callee of callees[index] ?? []) {
      if (!callee.isAddress && callee.index === env.exceptionSubprogram)
        env.refuse("callback", "the function that takes exceptions is called directly");
      // What runs later begins a stack of its own.
      if (!callee.isAddress || !runsLater.has(callee.index)) walk(callee.index, depth, frames + 1, isOwn);
    }
  };
  code.subprograms.forEach((_, index) => {
    if (index === 0) walk(index, 0, 1, ownStacks);
    else if (runsLater.has(index)) walk(index, 0, 1, false);
  });
}
