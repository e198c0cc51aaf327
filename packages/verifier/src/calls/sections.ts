/**
 * @module
 * Sections that kernel functions open and close: read sections, preemption, interrupts, and the locks that can fail
 * (check_kfunc_call, process_irq_flag, process_spin_lock; kernel/bpf/verifier.c).
 */
import type { Env } from "../env.ts";
import { describeReg } from "../explain/describe.ts";
import { slotOf, stackRange } from "../memory/stack.ts";
import { NOTHING, Reg, constant, flag, kind } from "../register.ts";
import { ALL_IRQ, INVALID_SLOT, Slot, mapRegs } from "../state.ts";
import type { Reference } from "../state.ts";
import { pushBranch } from "../step/branches.ts";
import { arithmeticFreeRange } from "../scalar/range.ts";
import { fieldAt, forgetShared, ownerOf } from "./graph.ts";
import { acquire, forgetReference } from "./references.ts";

const MAX_ERRNO = 4095;

/** Functions that only open or close a section. */
export function openOrClose(env: Env, name: string): void {
  const { state } = env;
  switch (name) {
    case "bpf_rcu_read_lock":
      state.rcu++;
      break;
    case "bpf_rcu_read_unlock":
      if (state.rcu === 0) env.refuse("section-open", "an RCU read section is closed that was not opened");
      else if (--state.rcu === 0) forgetProtected(env);
      break;
    case "bpf_preempt_disable":
      state.preempt++;
      break;
    case "bpf_preempt_enable":
      if (state.preempt === 0) env.refuse("section-open", "preemption is allowed again and was not forbidden");
      else state.preempt--;
      break;
    default:
  }
}

/** Pointers that only the read section kept whole. */
function forgetProtected(env: Env): void {
  mapRegs(env.state, (reg) => {
    if (reg.kind !== kind.btf || (reg.flags & flag.rcu) === 0) return reg;
    const changed = reg.clone();
    changed.flags = (changed.flags & ~(flag.rcu | flag.maybeNull)) | flag.untrusted;
    return changed;
  });
}

/** Where the interrupts' state is kept: eight aligned bytes of the stack. */
export function checkIrqFlag(env: Env, register: number, name: string): void {
  const reg = env.read(register);
  const off = reg.off + reg.vl;
  if (reg.kind !== kind.stack || !reg.isConst || (off & 7) !== 0 || off > -8) {
    env.refuse("argument-type", `r${register} is ${describeReg(reg)}; ${name} wants 8 aligned bytes of the stack`);
    return;
  }
  const { frame } = stackRange(env, reg, 0, 8);
  const index = slotOf(off);
  const slot = frame.slot(index);
  if (name.endsWith("_save") || name.endsWith("irqsave")) {
    if (slot.types === ALL_IRQ) env.refuse("section-open", "the state of the interrupts is kept there already");
    const kept = new Reg();
    kept.ref = acquire(env, { kind: "irq" });
    frame.stack[index] = new Slot(ALL_IRQ, kept);
    frame.wrote(index);
    return;
  }
  if (slot.types !== ALL_IRQ || slot.reg === null) {
    env.refuse("section-open", `r${register} points to no state of the interrupts`);
    return;
  }
  const newest = env.state.references.findLast((each) => each.kind === "irq");
  if (newest?.id !== slot.reg.ref) env.refuse("section-open", "interrupts are given back in another order");
  forgetReference(env.state, slot.reg.ref);
  frame.stack[index] = INVALID_SLOT;
}

/** bpf_res_spin_lock and its kin: taking one can fail. */
export function checkFallibleLock(env: Env, register: number, name: string): void {
  const reg = env.read(register);
  if (fieldAt(env, reg, "res_spin_lock") === null) {
    env.refuse("argument-type", `r${register} is ${describeReg(reg)}; ${name} wants a bpf_res_spin_lock of a value`);
    return;
  }
  const held = env.state.references.filter((each) => each.kind === "res-lock" || each.kind === "lock");
  const isSame = (each: Reference): boolean => each.owner === ownerOf(reg) && each.lockId === reg.id;
  if (!name.includes("unlock")) {
    if (held.some(isSame)) env.refuse("lock-state", "the lock is held already");
    if (held.some((each) => each.kind === "lock")) env.refuse("lock-state", "a lock of the other kind is held");
    return;
  }
  const last = held.at(-1);
  if (last === undefined || !isSame(last)) {
    env.refuse("lock-state", "a lock is given back that is not the one taken last");
    return;
  }
  forgetReference(env.state, last.id);
  forgetShared(env);
}

/** After the call: a path on which the lock was not taken, and this one on which it was. `lock`: what the first argument was. */
export function takeFallibleLock(env: Env, lock: Reg): void {
  const failed = pushBranch(env, env.at + 1);
  failed.frame.regs.fill(NOTHING, 0, 6);
  failed.frame.regs[0] = arithmeticFreeRange(-MAX_ERRNO, -1);
  env.frame.regs.fill(NOTHING, 0, 6);
  env.frame.regs[0] = constant(0);
  acquire(env, { kind: "res-lock", owner: ownerOf(lock), lockId: lock.id });
}
