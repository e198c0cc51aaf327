/**
 * @module
 * What a user may who loads a program: helpers, fields of the context, and whether the program may tell where things are in the kernel
 * (bpf_base_func_proto, kernel/bpf/helpers.c; cg_skb_is_valid_access, net/core/filter.c; is_pointer_value, kernel/bpf/verifier.c).
 */
import type { ContextRules } from "../context/access.ts";
import type { Env } from "../env.ts";
import { NOTHING, UNKNOWN, kind } from "../register.ts";
import type { Reg } from "../register.ts";

/** All; CAP_BPF without CAP_PERFMON; neither. */
export type Privilege = "all" | "bpf" | "none";

/** Without CAP_PERFMON: addresses are kept from the user, and wrong guesses of the CPU are guarded against. */
export function hidesAddresses(env: Env): boolean {
  return env.kind.privilege !== "all";
}

/** What a register holds after what it pointed to is gone: a number that may be looked at, or nothing (mark_reg_invalid). */
export function goneValue(env: Env): Reg {
  return hidesAddresses(env) ? NOTHING : UNKNOWN;
}

/** Refuses a pointer where a number is meant to be. */
export function refuseAddress(env: Env, reg: Reg, message: string): void {
  if (env.kind.privilege === "all" || reg.kind === kind.scalar || reg.kind === kind.none) return;
  env.refuse("address-leak", message);
}

// Of helpers that socket filters and programs of cgroups for packets have: those that ask for no capability.
const plainHelpers: ReadonlySet<number> = new Set([
  1, 2, 3, 5, 7, 8, 12, 14, 25, 26, 42, 46, 47, 68, 79, 81, 83, 84, 85, 86, 87, 88, 89, 95, 96, 97, 98, 99, 105, 106,
  107, 108, 120, 125, 128, 129, 130, 131, 132, 133, 134, 160, 182, 186, 187, 195, 208,
]);
/** Found by asking Linux 6.18: helpers of network programs that CAP_PERFMON is needed for. */
const perfmonHelpers: ReadonlySet<number> = new Set([
  6, 16, 22, 35, 55, 109, 112, 113, 114, 115, 117, 136, 137, 138, 139, 140, 141, 148, 149, 158, 165, 175, 176, 177, 178,
  180, 191, 196,
]);

export function helpersWithout(privilege: Privilege, helpers: ReadonlySet<number> | null): ReadonlySet<number> | null {
  if (privilege === "all" || helpers === null) return helpers;
  const mayCall = (id: number): boolean => (privilege === "none" ? plainHelpers.has(id) : !perfmonHelpers.has(id));
  return new Set([...helpers].filter(mayCall));
}

/** `data` and `data_end` of `struct __sk_buff` are read, `tstamp` is written with CAP_BPF only. */
export function contextWithout(privilege: Privilege, type: string, rules: ContextRules | null): ContextRules | null {
  if (privilege !== "none" || type !== "cgroup_skb" || rules === null) return rules;
  const isPacket = (offset: number): boolean => offset >= 76 && offset < 84;
  const isTime = (offset: number): boolean => offset >= 152 && offset < 160;
  return {
    mayAccess: (offset, size, writes) =>
      !isPacket(offset) && !(writes && isTime(offset)) && rules.mayAccess(offset, size, writes),
    pointerAt: (offset, size) => rules.pointerAt(offset, size),
  };
}
