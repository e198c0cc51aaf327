/**
 * @module
 * Maps that a user without privilege cannot make (map_create, map_check_btf; kernel/bpf/syscall.c). The program may still use one that somebody
 * else made: a warning, not a refusal.
 */
import type { Diagnostic } from "@skep/isa";
import type { Env } from "../env.ts";
import type { MapInfo } from "../program/maps.ts";

const plain =
  /^((percpu_)?(array|hash)|prog_array|perf_event_array|cgroup_array|(array|hash)_of_maps|(user_)?ringbuf|(percpu_)?cgroup_storage)$/;
const forNetworks = /^(sockmap|sockhash|devmap|devmap_hash|xskmap)$/;

export function mapWarnings(env: Env): Diagnostic[] {
  if (env.kind.privilege !== "none") return [];
  const maps = new Set<MapInfo>();
  for (const target of env.code.targets.values()) if ("map" in target) maps.add(target.map);
  return [...maps].flatMap((map) => warning(map) ?? []);
}

function warning({ name, type, fields }: MapInfo): Diagnostic | null {
  const what = plain.test(type) ? (fields[0]?.kind ?? null) : `of type ${type}`;
  if (what === null) return null;
  const needed = forNetworks.test(type) ? "CAP_NET_ADMIN" : "CAP_BPF";
  const message = `map ${name} is ${what.startsWith("of ") ? what : `one with a ${what}`}: only users with ${needed} can make it`;
  return { code: "VER9002", severity: "warning", message, hint: "Let somebody else make and pin it." };
}
