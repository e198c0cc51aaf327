/**
 * @module
 * Checkpoints: a state that an older one covers need not be walked (is_state_visited, kernel/bpf/verifier.c).
 */
import type { Env } from "../env.ts";
import { kind } from "../register.ts";
import type { Points } from "../program/flow.ts";
import type { Frame, State } from "../state.ts";
import { markRead } from "../memory/stack.ts";
import { iteratorState } from "../memory/objects.ts";
import { hidesAddresses } from "../privilege/privilege.ts";
import { statesEqual } from "./equal.ts";
import type { Exactness } from "./equal.ts";
import { markMany } from "./precision.ts";

interface Kept {
  readonly state: State;
  hits: number;
  misses: number;
}

export interface VisitContext {
  readonly points: Points;
  readonly live: Uint16Array;
  readonly callsBack: (at: number) => boolean;
  readonly isNext: (at: number) => boolean;
}

const JCOND = 0xe5;
/** Entries of the history from which on a checkpoint is made in any case. */
const LONG_HISTORY = 40;

export class Explored {
  private readonly kept = new Map<number, Kept[]>();
  private readonly context: VisitContext;
  private lastJumps = 0;
  private lastProcessed = 0;
  /** Checkpoints made, by instruction. */
  readonly made = new Map<number, number>();
  total = 0;

  constructor(context: VisitContext) {
    this.context = context;
  }

  /** True: the state is covered, the path need not be walked. Otherwise it may have become a checkpoint. */
  visit(env: Env): boolean {
    const { state, at } = env;
    const forced = this.context.points.force[at] === 1;
    const forcedNew = forced || state.weight > LONG_HISTORY;
    const jumps = env.jumps - this.lastJumps;
    const walked = env.processed - this.lastProcessed;
    let adds = forcedNew || (jumps >= 2 && walked >= 8);
    let list = this.kept.get(at);
    if (list !== undefined) {
      for (let i = 0; i < list.length;) {
        const kept = list[i] as Kept;
        const answer = this.compare(env, kept.state);
        if (answer === "covered") {
          kept.hits++;
          propagate(env, kept.state);
          return true;
        }
        if (answer === "open" && !forcedNew && jumps < 20 && walked < 100) adds = false;
        if (adds) kept.misses++;
        const patience = forced && kept.state.branches > 0 ? 64 : 3;
        if (kept.misses > kept.hits * patience + patience) list.splice(i, 1);
        else i++;
      }
    }
    if (!adds) return false;
    if (list === undefined) this.kept.set(at, (list = []));
    this.lastJumps = env.jumps;
    this.lastProcessed = env.processed;
    list.push({ state: this.checkpoint(env), hits: 0, misses: 0 });
    this.made.set(at, (this.made.get(at) ?? 0) + 1);
    this.total++;
    return false;
  }

  /** `open`: the older state is still being walked, and this is another one. */
  private compare(env: Env, old: State): "covered" | "open" | "other" {
    const { state, at } = env;
    const { live } = this.context;
    const written = hidesAddresses(env);
    if (old.branches === 0) {
      const entry = loopEntry(old);
      const within = entry !== null && entry.branches > 0;
      if (!statesEqual(old, state, within ? "within" : exactness(env), live, written)) return "other";
      if (within) enterLoop(state, entry);
      return "covered";
    }
    if (differentAsync(old, state)) return "open";
    if (this.context.isNext(at)) {
      if (!statesEqual(old, state, "within", live, written) || !isIterating(state)) return "open";
      enterLoop(state, old);
      return "covered";
    }
    if (env.code.opcode[at] === JCOND) {
      if (old.mayGotoDepth !== state.mayGotoDepth && statesEqual(old, state, "within", live, written)) {
        enterLoop(state, old);
        return "covered";
      }
    }
    if (this.context.callsBack(at)) {
      if (!statesEqual(old, state, "within", live, written)) return "open";
      enterLoop(state, old);
      return "covered";
    }
    checkProgress(env, old, live);
    return "open";
  }

  private checkpoint(env: Env): State {
    const { state } = env;
    const kept = state.fork(env.at);
    kept.branches = 1;
    state.parent = kept;
    state.first = env.at;
    state.depth = kept.depth + 1;
    state.history = [];
    state.weight = 0;
    state.links = null;
    state.loopEntry = null;
    for (const frame of state.frames) {
      frame.wroteLow = 0;
      frame.wroteHigh = 0;
    }
    return kept;
  }
}

function differentAsync(old: State, state: State): boolean {
  return (
    old.frames[0]?.callback?.isAsync === true &&
    state.frames[0] !== old.frames[0] &&
    old.depth === 0 &&
    state.depth === 0
  );
}

/** Without CAP_BPF every number counts; where numbers move pointers, exactly (regsafe). */
function exactness(env: Env): Exactness {
  if (env.exploresMoves) return "same";
  return env.kind.privilege === "none" ? "within" : "covers";
}

/** r1 points to an iterator that gave something. */
function isIterating(state: State): boolean {
  const ptr = state.frame.reg(1);
  if (ptr.kind !== kind.stack) return false;
  const slot = state.frames[ptr.size]?.slot((-(ptr.off + ptr.vl) - 1) >> 3);
  return slot?.reg?.kind === kind.iterator && slot.reg.off === iteratorState.active;
}

/** The same again with nothing changed, and the first still open: it never ends. */
function checkProgress(env: Env, old: State, live: Uint16Array): void {
  const { state } = env;
  if (old.frames.length !== state.frames.length) return;
  if (old.mayGotoDepth !== state.mayGotoDepth || old.unrollDepth !== state.unrollDepth) return;
  if (!mayLoop(old.frame, state.frame) || iteratorsMoved(old, state)) return;
  if (statesEqual(old, state, "same", live, hidesAddresses(env)))
    env.refuse("infinite-loop", "the path comes back here with nothing changed");
}

function mayLoop(old: Frame, now: Frame): boolean {
  for (let i = 0; i < 10; i++) {
    const a = old.reg(i);
    const b = now.reg(i);
    if (a !== b && (a.kind !== b.kind || a.vl !== b.vl || a.off !== b.off || a.umin !== b.umin || a.umax !== b.umax))
      return false;
  }
  return true;
}

/** Iterators count their rounds. */
function iteratorsMoved(old: State, now: State): boolean {
  return old.frames.some((frame, f) =>
    frame.stack.some((slot, i) => {
      if (slot.reg?.kind !== kind.iterator) return false;
      return slot.reg.mapUid !== now.frames[f]?.slot(i).reg?.mapUid;
    }),
  );
}

function loopEntry(state: State): State | null {
  let entry = state.loopEntry;
  if (entry === null) return null;
  while (entry.loopEntry !== null && entry.loopEntry !== entry) entry = entry.loopEntry;
  return entry;
}

/** The state is part of the loop that begins at `head`: its marks are complete only when that one is walked to its end. */
export function enterLoop(state: State, head: State): void {
  const entry = loopEntry(head) ?? head;
  const own = loopEntry(state) ?? state;
  if (entry.branches > 0 && entry.depth <= own.depth) {
    state.loopEntry = entry;
    entry.usedAsLoopEntry = true;
  }
}

/** What the older state rests on and reads, this path does too. */
function propagate(env: Env, old: State): void {
  const marks: { frame: number; register: number; slot: number }[] = [];
  old.frames.forEach((frame, f) => {
    for (let i = 0; i < 10; i++) {
      const reg = frame.reg(i);
      if (reg.precise && reg.kind === kind.scalar) marks.push({ frame: f, register: i, slot: -1 });
    }
    for (let i = 0; i < frame.stack.length; i++) {
      const slot = frame.slot(i);
      if (slot.isSpill && slot.reg?.precise === true) marks.push({ frame: f, register: -1, slot: i });
      if (((i < 32 ? frame.readLow : frame.readHigh) & (1 << (i & 31))) !== 0) markRead(env, f, i);
    }
  });
  if (marks.length > 0) markMany(env, marks);
}

/** A path has ended: checkpoints all of whose paths have are complete (update_branch_counts). */
export function finishPath(state: State): void {
  for (let at: State | null = state; at !== null; at = at.parent) {
    at.branches--;
    if (at.branches === 0 && at.parent !== null && at.loopEntry !== null) enterLoop(at.parent, at.loopEntry);
    if (at.branches > 0) return;
  }
}
