/**
 * @module
 * Paths that wait to be walked (push_stack, pop_stack).
 */
import type { Env } from "../env.ts";
import type { State } from "../state.ts";

/** BPF_COMPLEXITY_LIMIT_JMP_SEQ */
const MAX_WAITING = 8192;

/** A copy of the state that goes on at `at`, later. */
export function pushBranch(env: Env, at: number): State {
  const branch = env.state.fork(at);
  if (branch.parent !== null) branch.parent.branches++;
  env.waiting.push(branch);
  if (env.waiting.length > MAX_WAITING)
    env.refuse("too-many-branches", `more than ${MAX_WAITING} branches wait to be walked`);
  return branch;
}
