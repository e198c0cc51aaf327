import { readFileSync } from "node:fs";

/** Effective capabilities that loading and running programs needs: CAP_SYS_ADMIN, or CAP_BPF with CAP_NET_ADMIN and CAP_PERFMON. */
export function canUseBpf(): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  const has = (bit: number): boolean => ((BigInt(`0x${effective}`) >> BigInt(bit)) & 1n) === 1n;
  const able = has(21) || (has(39) && has(12) && has(38));
  if (!able) console.warn("skipped: tests that load programs need CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON");
  return able;
}
