/**
 * @module
 * What kernels before 6.18 do not have: instructions and helpers by the version that brought them.
 */
import {
  CALL,
  LDDW,
  atomicImm,
  insnClass,
  mapTypesSince,
  modeBits,
  programTypesSince,
  pseudo,
  pseudoCall,
} from "@skep/isa";
import type { Env } from "../env.ts";
import { isConditional, isGoto } from "./code.ts";

/** The largest helper number of a kernel, by version: releases between have at least the earlier one's. */
const lastHelpers: readonly (readonly [version: number, last: number])[] = [
  [5004, 110],
  [5010, 155],
  [5015, 175],
  [6001, 209],
  [6002, 211],
];

function lastHelper(version: number): number {
  return lastHelpers.findLast(([since]) => since <= version)?.[1] ?? 0;
}

/** The version that an instruction needs, and what it is; null: any. */
function needs(env: Env, at: number): readonly [version: number, what: string] | null {
  const { code } = env;
  const opcode = code.opcode[at] as number;
  const kind = opcode & 7;
  const op = opcode & 0xf0;
  const offset = code.offset[at] as number;
  if (opcode === 0xe5) return [6009, "may_goto"];
  if (opcode === 0x06) return [6006, "a jump over 32 bits"];
  if (kind === insnClass.jmp32) return [5001, "a 32-bit comparison"];
  if ((isConditional(opcode) || isGoto(opcode)) && (code.target[at] as number) <= at) return [5003, "a loop"];
  if (kind === insnClass.ldx && (opcode & 0xe0) === modeBits.memsx) return [6006, "a load with sign"];
  if (kind === insnClass.alu64 && op === 0xd0) return [6006, "bswap"];
  if ((kind === insnClass.alu || kind === insnClass.alu64) && offset !== 0 && op === 0xb0) {
    return offset === 1 ? [6009, "an address cast"] : [6006, "a move with sign"];
  }
  if ((kind === insnClass.alu || kind === insnClass.alu64) && offset === 1) return [6006, "a signed division"];
  if (kind === insnClass.stx && (opcode & 0xe0) === modeBits.atomic) return atomicNeeds(code.imm[at] as number);
  if (opcode === CALL && code.src[at] === pseudoCall.kfunc) return functionNeeds(env, at);
  if (opcode === LDDW) return addressNeeds(code.src[at] as number);
  return null;
}

/** The first release with each family of kernel functions; the others came with 5.13, which was the first to have any. */
const functionsSince: readonly (readonly [names: RegExp, version: number])[] = [
  [/^bpf_(?:skb|xdp)_ct_/, 5018],
  [/^bpf_(?:obj_|list_push|list_pop|task_|cgroup_|rcu_|cast_to_kern|rdonly_cast)/, 6002],
  [/^bpf_(?:rbtree_|cpumask_)/, 6003],
  [/^bpf_(?:refcount_|iter_num_|dynptr_(?:from|slice))/, 6004],
  [/^bpf_dynptr_(?:adjust|clone|size|is_)/, 6005],
  [/^bpf_percpu_obj_/, 6006],
  [/^bpf_(?:throw|iter_task|iter_css)/, 6007],
  [/^bpf_arena_/, 6009],
  [/^bpf_(?:wq_|preempt_)/, 6010],
  [/^bpf_iter_bits_/, 6011],
  [/^bpf_local_irq_/, 6014],
  [/^bpf_res_spin_/, 6015],
  [/^bpf_(?:rbtree_(?:root|left|right)|list_(?:front|back))/, 6016],
  [/^bpf_task_work_/, 6018],
];

function functionNeeds(env: Env, at: number): readonly [version: number, what: string] {
  const target = env.code.targets.get(at);
  const name = target?.kind === "kfunc" ? (target.fn ?? target.name) : "";
  const since = functionsSince.findLast(([names]) => names.test(name))?.[1] ?? 5013;
  return [since, name === "" ? "a call of a kernel function" : name];
}

function addressNeeds(source: number): readonly [version: number, what: string] | null {
  if (source === pseudo.mapValue) return [5002, "a variable of the object's"];
  if (source === pseudo.func) return [5013, "the address of a function"];
  return null;
}

function atomicNeeds(imm: number): readonly [version: number, what: string] | null {
  if (imm === atomicImm.loadAcquire || imm === atomicImm.storeRelease) return [6015, "an ordered load or store"];
  return imm === atomicImm.add ? null : [5012, "an atomic operation other than addition"];
}

function numberOf(version: string): number {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major * 1000 + minor;
}

/** The program's type, and those of the maps that it names. */
function checkTypes(env: Env): void {
  const { kind, code } = env;
  const check = (what: string, since: string | undefined): void => {
    if (since !== undefined && numberOf(since) > kind.kernel)
      env.refuse("too-new", `${what} needs kernel ${since}; this is ${versionText(kind.kernel)}`);
  };
  env.at = 0;
  check(`a program of type ${kind.type}`, programTypesSince[kind.type]);
  if (kind.sleepable) check("a program that may sleep", "5.10");
  for (const [at, target] of code.targets) {
    if (!("map" in target)) continue;
    env.at = at;
    const { name, type } = target.map;
    check(`map ${name} of type ${type}`, mapTypesSince[type]);
  }
}

/** BPF_MAXINSNS, of every program before 5.2. */
const ONCE_MOST = 4096;

function versionText(version: number): string {
  return `${Math.floor(version / 1000)}.${version % 1000}`;
}

export function checkVersions(env: Env): void {
  const { kernel } = env.kind;
  if (kernel >= 6018) return;
  const last = lastHelper(kernel);
  const { code } = env;
  checkTypes(env);
  if (kernel < 5002 && code.count > ONCE_MOST)
    env.refuse("too-many", `${code.count} instructions: kernel ${versionText(kernel)} takes ${ONCE_MOST}`);
  for (let at = 0; at < code.count; at++) {
    env.at = at;
    const needed = needs(env, at);
    if (needed !== null && needed[0] > kernel) {
      env.refuse("too-new", `${needed[1]} needs kernel ${versionText(needed[0])}; this is ${versionText(kernel)}`);
    }
    const isHelper = code.opcode[at] === CALL && code.src[at] === 0;
    if (isHelper && (code.imm[at] as number) > last) {
      env.refuse("too-new", `helper number ${code.imm[at]} is not known to have been in kernel ${versionText(kernel)}`);
    }
  }
}
