/**
 * @module
 * What a program holds and has to give back: references, locks (acquire_reference, release_reference, check_resource_leak).
 */
import type { Env } from "../env.ts";
import { goneValue } from "../privilege/privilege.ts";
import { INVALID_SLOT, byte, mapRegs } from "../state.ts";
import type { Reference, State } from "../state.ts";

export function acquire(env: Env, rest: Partial<Reference> = {}): number {
  const id = env.newId();
  const reference: Reference = { id, kind: "object", at: env.at, owner: null, lockId: 0, ...rest };
  env.state.references = [...env.state.references, reference];
  return id;
}

/** Takes the reference from the state; registers that hold it are not touched. */
export function forgetReference(state: State, id: number): boolean {
  const rest = state.references.filter((each) => each.id !== id);
  if (rest.length === state.references.length) return false;
  state.references = rest;
  return true;
}

/** Gives a reference back: what holds it is a number from here on, or nothing. */
export function release(env: Env, id: number): void {
  if (!forgetReference(env.state, id)) {
    env.refuse("release", "what is released was not acquired, or was released before");
    return;
  }
  const gone = goneValue(env);
  mapRegs(env.state, (reg) => (reg.ref === id ? gone : reg));
  for (const frame of env.state.frames) {
    frame.stack.forEach((slot, index) => {
      if (slot.at(0) === byte.dynptr && slot.reg === gone) frame.stack[index] = INVALID_SLOT;
    });
  }
}

/** At the program's end, and where it is left otherwise: nothing may be held. */
export function checkNothingHeld(env: Env, where: string): void {
  const { state } = env;
  const lock = state.references.find((each) => each.kind === "lock" || each.kind === "res-lock");
  if (lock !== undefined) env.refuse("lock-held", `${where} while the lock taken at instruction ${lock.at} is held`);
  const irq = state.references.find((each) => each.kind === "irq");
  if (irq !== undefined) env.refuse("section-open", `${where} with interrupts off since instruction ${irq.at}`);
  if (state.rcu > 0) env.refuse("section-open", `${where} inside of an RCU read section`);
  if (state.preempt > 0) env.refuse("section-open", `${where} with preemption off`);
  const held = state.references.find((each) => each.kind === "object");
  if (held !== undefined)
    env.refuse("reference-leak", `${where} without giving back what instruction ${held.at} acquired`);
}

/** A lock of a value, by value (`owner` and its id). */
export function heldLock(state: State): Reference | null {
  return state.references.findLast((each) => each.kind === "lock" || each.kind === "res-lock") ?? null;
}
