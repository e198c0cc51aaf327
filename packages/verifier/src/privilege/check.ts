/**
 * @module
 * What a program must be for a user without CAP_BPF (bpf_prog_load, kernel/bpf/syscall.c; add_subprog_and_kfunc, push_insn,
 * kernel/bpf/verifier.c): one of two types, short, without functions of its own or of the kernel's, without loops.
 */
import { CALL, EXIT, pseudoCall } from "@skep/isa";
import type { Env } from "../env.ts";
import { isConditional, isFunctionAddress, isGoto } from "../program/code.ts";
import type { Code } from "../program/code.ts";
import { hidesAddresses } from "./privilege.ts";

/** BPF_MAXINSNS, of slots: loads of eight bytes have two. */
const MOST = 4096;

/** is_perfmon_prog_type */
const observing = /^(kprobe|tracepoint|perf_event|raw_tracepoint|raw_tracepoint_writable|tracing|lsm|struct_ops|ext)$/;

export function checkPrivilege(env: Env): void {
  if (!hidesAddresses(env)) return;
  checkArenas(env);
  env.at = 0;
  if (observing.test(env.kind.type)) env.refuse("privilege", `${env.kind.type} programs need CAP_PERFMON`);
  if (env.kind.privilege === "none") checkShape(env);
  checkLoops(env);
}

function checkShape(env: Env): void {
  const { code, kind } = env;
  if (kind.type !== "socket_filter" && kind.type !== "cgroup_skb")
    env.refuse("privilege", `${kind.type} programs need CAP_BPF: without it there are socket_filter and cgroup_skb`);
  const slots = (code.slotOf[code.count - 1] ?? 0) + 1;
  if (slots > MOST) env.refuse("privilege", `${slots} instructions: without CAP_BPF there may be ${MOST}`);
  checkCalls(env);
}

/**
 * Without CAP_BPF there are none. With it, and without CAP_PERFMON, the kernel follows wrong guesses round and round until it finds nothing changed or
 * its budget is used up, so that hardly any is taken.
 */
function checkLoops(env: Env): void {
  const from = backEdge(env.code);
  if (from < 0) return;
  env.at = from;
  env.refuse("privilege", "a loop needs CAP_BPF and CAP_PERFMON");
}

function checkArenas(env: Env): void {
  for (const [at, target] of env.code.targets) {
    if (!("map" in target) || target.map.type !== "arena") continue;
    env.at = at;
    env.refuse("privilege", `the arena ${target.map.name} needs CAP_BPF and CAP_PERFMON`);
  }
}

function checkCalls(env: Env): void {
  const { code } = env;
  for (let at = 0; at < code.count; at++) {
    const isOwn = isFunctionAddress(code, at) || (code.opcode[at] === CALL && code.src[at] === pseudoCall.local);
    const isKernels = code.opcode[at] === CALL && code.src[at] === pseudoCall.kfunc;
    if (!isOwn && !isKernels) continue;
    env.at = at;
    env.refuse("privilege", `${isOwn ? "functions of the program's own" : "kernel functions"} need CAP_BPF`);
  }
}

function successors(code: Code, at: number): number[] {
  const opcode = code.opcode[at] as number;
  if (opcode === EXIT) return [];
  const target = code.target[at] as number;
  if (isGoto(opcode)) return [target];
  return isConditional(opcode) ? [at + 1, target] : [at + 1];
}

/** The first jump that leads back to where its path came from; -1: none. */
function backEdge(code: Code): number {
  const OPEN = 1;
  const DONE = 2;
  const seen = new Uint8Array(code.count);
  const path: { readonly at: number; readonly next: number[] }[] = [{ at: 0, next: successors(code, 0) }];
  seen[0] = OPEN;
  for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
    const to = top.next.shift();
    if (to === undefined) {
      seen[top.at] = DONE;
      path.pop();
    } else if (seen[to] === OPEN) return top.at;
    else if (to >= 0 && to < code.count && seen[to] !== DONE) {
      seen[to] = OPEN;
      path.push({ at: to, next: successors(code, to) });
    }
  }
  return -1;
}
