/**
 * @module
 * Conditional jumps (check_cond_jmp_op, kernel/bpf/verifier.c): which ways are possible, and what is known on each.
 */
import { insnClass, jmpBits } from "@skep/isa";
import type { Env } from "../env.ts";
import { isPacketPointer, learnPacket, packetBranchTaken } from "../memory/packet.ts";
import { markPrecise } from "../pruning/precision.ts";
import { constant, flag, kind } from "../register.ts";
import type { Reg } from "../register.ts";
import { arithmetic } from "../scalar/arithmetic.ts";
import { branchTaken, refine, reverse } from "../scalar/compare.ts";
import type { Taken } from "../scalar/compare.ts";
import { Slot, mapRegs } from "../state.ts";
import type { State } from "../state.ts";
import { forgetReference } from "../calls/references.ts";
import { findPreviousEntry, widenImprecise } from "../pruning/widen.ts";
import { refuseAddress } from "../privilege/privilege.ts";
import { guessWrongly } from "./speculation.ts";
import { pushBranch } from "./branches.ts";

/** LINKED_REGS_MAX */
const MAX_LINKED = 6;

/** Walks the jump; the state goes on at `env.state.at`. */
export function stepJump(env: Env): void {
  const { code, at } = env;
  const opcode = code.opcode[at] as number;
  const op = opcode & 0xf0;
  const target = code.target[at] as number;
  if (op === jmpBits.jcond) {
    stepMayGoto(env, target);
    return;
  }
  const wide = (opcode & 7) === insnClass.jmp;
  const dst = code.dst[at] as number;
  const src = (opcode & 8) !== 0 ? (code.src[at] as number) : -1;
  const b = src >= 0 ? env.read(src) : constant(code.imm[at] as number);
  const a = env.read(dst);
  if (src >= 0 && !(isPacketPointer(a) && isPacketPointer(b)))
    refuseAddress(env, b, `the pointer in r${src} is compared`);
  const taken = decide(op, a, b, wide);
  if (taken !== "unknown") {
    guessWrongly(env, taken === "always" ? at + 1 : target, { dst, src });
    if (a.kind === kind.scalar) markPrecise(env, dst);
    if (src >= 0 && b.kind === kind.scalar) markPrecise(env, src);
    env.state.at = taken === "always" ? target : at + 1;
    return;
  }
  const linked = linkedTo(env, src < 0 ? [a] : [a, b]);
  const other = pushBranch(env, target);
  learn(env, { op, wide, dst, src, linked }, other);
  env.state.at = at + 1;
}

/** Both ways: out of the loop, and once more with what the loop changed forgotten. */
function stepMayGoto(env: Env, target: number): void {
  const again = pushBranch(env, env.at + 1);
  again.mayGotoDepth++;
  const before = findPreviousEntry(env.state, env.at);
  if (before !== null) widenImprecise(before, again);
  env.state.at = target;
}

function isKnownNotNull(reg: Reg): boolean {
  if (reg.mayBeNull) return false;
  switch (reg.kind) {
    case kind.socket:
    case kind.tcpSock:
    case kind.mapValue:
    case kind.mapKey:
    case kind.sockCommon:
    case kind.memory:
    case kind.map:
      return true;
    case kind.btf:
      return (reg.flags & (flag.trusted | flag.alloc)) !== 0;
    default:
      return false;
  }
}

function decide(op: number, a: Reg, b: Reg, wide: boolean): Taken {
  if (a.kind === kind.none || b.kind === kind.none) return "unknown";
  if (wide && isPacketPointer(a) && isPacketPointer(b)) return packetBranchTaken(op, a, b);
  if (a.kind === kind.scalar && b.kind === kind.scalar) return branchTaken(op, a, b, wide);
  const ptr = b.kind === kind.scalar ? a : b;
  const number = b.kind === kind.scalar ? b : a;
  if (number.kind !== kind.scalar || !number.isNumber(0) || !isKnownNotNull(ptr)) return "unknown";
  if (op === jmpBits.jeq) return "never";
  return op === jmpBits.jne ? "always" : "unknown";
}

/** Registers and slots that are one number with these, as `frame << 8 | index`, slots with bit 16. */
function linkedTo(env: Env, regs: readonly Reg[]): readonly number[] | null {
  const ids = regs.filter((reg) => reg.kind === kind.scalar && reg.id !== 0).map((reg) => reg.id);
  if (ids.length === 0) return null;
  const found: number[] = [];
  const unlinked: (() => void)[] = [];
  env.state.frames.forEach((frame, f) => {
    const note = (reg: Reg, place: number, unlink: (reg: Reg) => void) => {
      if (reg.kind !== kind.scalar || !ids.includes(reg.id)) return;
      if (found.length < MAX_LINKED) found.push(place);
      else unlinked.push(() => unlink(alone(reg)));
    };
    for (let i = 0; i < 10; i++) note(frame.reg(i), (f << 8) | i, (reg) => (frame.regs[i] = reg));
    for (let i = 0; i < frame.stack.length; i++) {
      const slot = frame.slot(i);
      if (slot.reg === null || !slot.isSpill) continue;
      note(slot.reg, 0x1_0000 | (f << 8) | i, (reg) => (frame.stack[i] = new Slot(slot.types, reg)));
    }
  });
  for (const unlink of unlinked) unlink();
  if (found.length < 2) return null;
  const place = (env.state.history.length - 1) | 0;
  (env.state.links ??= new Map()).set(place, found);
  return found;
}

function alone(reg: Reg): Reg {
  const copy = reg.clone();
  copy.id = 0;
  copy.linked = false;
  copy.off = 0;
  return copy;
}

interface Comparison {
  readonly op: number;
  readonly wide: boolean;
  readonly dst: number;
  /** -1: the immediate. */
  readonly src: number;
  readonly linked: readonly number[] | null;
}

function learn(env: Env, comparison: Comparison, taken: State): void {
  const { op, wide, dst, src } = comparison;
  const here = env.state;
  const a = here.frame.reg(dst);
  const b = src >= 0 ? here.frame.reg(src) : constant(env.code.imm[env.at] as number);
  if (a.kind === kind.scalar && b.kind === kind.scalar) {
    learnNumbers(taken, comparison, { op, b });
    learnNumbers(here, comparison, { op: reverse(op), b });
    return;
  }
  if (!wide) {
    refuseAddress(env, a, `the pointer in r${dst} is compared`);
    return;
  }
  const isZero = src < 0 && b.isNumber(0);
  if (isZero && (op === jmpBits.jeq || op === jmpBits.jne) && a.mayBeNull) {
    markNull(here, a, op === jmpBits.jne);
    markNull(taken, a, op === jmpBits.jeq);
    return;
  }
  if (src >= 0 && learnPacket({ op, dst, src }, here, taken)) return;
  refuseAddress(env, a, `the pointer in r${dst} is compared`);
  if (src >= 0 && (op === jmpBits.jeq || op === jmpBits.jne))
    learnEqualPointers(comparison, op === jmpBits.jeq ? taken : here);
}

function learnNumbers(state: State, comparison: Comparison, known: { readonly op: number; readonly b: Reg }): void {
  const { frame } = state;
  const a = frame.reg(comparison.dst).clone();
  // A number compared with itself is one number.
  const isSame = comparison.src === comparison.dst;
  const b = isSame ? a : comparison.src >= 0 ? frame.reg(comparison.src).clone() : known.b.clone();
  refine(known.op, a, b, comparison.wide);
  frame.regs[comparison.dst] = a;
  if (comparison.src >= 0) frame.regs[comparison.src] = b;
  if (comparison.linked === null) return;
  if (comparison.src >= 0 && b.id !== 0) share(state, comparison.linked, comparison.src);
  if (a.id !== 0) share(state, comparison.linked, comparison.dst);
}

/** What was learnt of a number goes to its copies, and to those a constant away (sync_linked_regs). */
function share(state: State, linked: readonly number[], register: number): void {
  const own = ((state.frames.length - 1) << 8) | register;
  const known = state.frame.reg(register);
  for (const place of linked) {
    if (place === own) continue;
    const frame = state.frames[(place >> 8) & 0xff];
    if (frame === undefined) continue;
    const index = place & 0xff;
    const isSlot = place >= 0x1_0000;
    const slot = frame.slot(index);
    const reg = isSlot ? slot.reg : frame.reg(index);
    if (reg === null || reg.kind !== kind.scalar || reg.id !== known.id) continue;
    const learnt = shifted(known, reg);
    if (isSlot) frame.stack[index] = new Slot(slot.types, learnt);
    else frame.regs[index] = learnt;
  }
}

function shifted(known: Reg, reg: Reg): Reg {
  if ((!reg.linked && !known.linked) || reg.off === known.off) return known;
  const copy = known.clone();
  const distance = reg.off - known.off;
  arithmetic(0x00, copy, constant(distance), true);
  copy.off = reg.off;
  copy.linked = reg.linked;
  return copy;
}

/** A pointer that equals one which is not null is not null. */
function learnEqualPointers(comparison: Comparison, equal: State): void {
  const a = equal.frame.reg(comparison.dst);
  const b = equal.frame.reg(comparison.src);
  if (a.kind === kind.scalar || b.kind === kind.scalar || a.kind === kind.btf || b.kind === kind.btf) return;
  if (a.mayBeNull === b.mayBeNull) return;
  const [register, reg] = a.mayBeNull ? [comparison.dst, a] : [comparison.src, b];
  equal.frame.regs[register] = notNull(reg);
}

/** Everything with the pointer's id is null, or is not (mark_ptr_or_null_regs). */
export function markNull(state: State, ptr: Reg, isNull: boolean): void {
  const { id, ref } = ptr;
  if (ref !== 0 && ref === id && isNull) forgetReference(state, id);
  mapRegs(state, (reg) => {
    if (!reg.mayBeNull || reg.id !== id) return reg;
    return isNull ? constant(0) : notNull(reg);
  });
}

/** The pointer once it is known not to be null: of a map of maps a map, of a socket map a socket. */
export function notNull(ptr: Reg): Reg {
  const reg = ptr.clone();
  reg.flags &= ~flag.maybeNull;
  if (reg.kind === kind.mapValue && reg.map !== null) {
    const { map } = reg;
    if (map.inner !== null) {
      reg.kind = kind.map;
      reg.mapUid = map.inner.fields.length > 0 ? reg.id : 0;
      reg.map = map.inner;
    } else if (map.type === "xskmap") reg.kind = kind.xdpSock;
    else if (map.type === "sockmap" || map.type === "sockhash") reg.kind = kind.socket;
  }
  if ((reg.kind === kind.mapValue || reg.kind === kind.btf) && hasLock(reg)) return reg;
  reg.id = 0;
  return reg;
}

/** Values with a lock keep their id: it says which lock belongs to which value. */
function hasLock(reg: Reg): boolean {
  if (reg.kind === kind.btf) return reg.ownType && (reg.flags & flag.alloc) !== 0;
  return reg.map?.fields.some((field) => field.kind === "spin_lock" || field.kind === "res_spin_lock") === true;
}
