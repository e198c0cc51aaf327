/**
 * @module
 * Spin locks (process_spin_lock, kernel/bpf/verifier.c): one at a time, given back through the same value.
 */
import type { Env } from "../env.ts";
import { forgetShared, ownerOf } from "./graph.ts";
import { acquire, forgetReference, heldLock } from "./references.ts";

export function lockByHelper(env: Env, takes: boolean): void {
  const ptr = env.frame.reg(1);
  const owner = ownerOf(ptr);
  if (takes) {
    if (env.state.locks > 0) env.refuse("lock-state", "a lock is held already, and there can be only one");
    env.state.locks++;
    acquire(env, { kind: "lock", owner, lockId: ptr.id });
    return;
  }
  const held = heldLock(env.state);
  if (held === null) {
    env.refuse("lock-state", "a lock is given back that is not held");
    return;
  }
  if (held.owner !== owner || held.lockId !== ptr.id)
    env.refuse("lock-state", "another lock is given back than the one that is held");
  forgetReference(env.state, held.id);
  env.state.locks--;
  forgetShared(env);
}
