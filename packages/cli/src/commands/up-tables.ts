/**
 * @module
 * What `skep up` is told about the tables of flows and services, as the agent takes it.
 */
import type { AgentOptions } from "@skep/agent";
import { usageError } from "../errors.ts";
import { parseDuration } from "../output/duration.ts";

export interface TableFlags {
  readonly bpfCtTimeoutRegularTcp: string;
  readonly bpfCtTimeoutRegularAny: string;
  readonly bpfCtTimeoutRegularTcpSyn: string;
  readonly bpfCtTimeoutRegularTcpFin: string;
  readonly bpfCtTimeoutServiceTcp: string;
  readonly bpfCtTimeoutServiceAny: string;
  readonly bpfCtTimeoutServiceTcpGrace: string;
  readonly conntrackGcInterval: string;
  readonly bpfCtGlobalMax?: number;
  readonly bpfNatGlobalMax?: number;
  readonly bpfSockRevMapMax?: number;
  readonly bpfPolicyMapMax?: number;
  readonly bpfFragmentsMapMax?: number;
  readonly bpfLbMapMax?: number;
  readonly bpfLbServiceMapMax?: number;
  readonly bpfLbAffinityMapMax?: number;
  readonly bpfLbSourceRangeMapMax?: number;
  readonly bpfMapDynamicSizeRatio?: string;
}

/** Seconds are counted in 32 bits, from the start of the machine on. */
const LONGEST_S = 2 ** 31 - 1;
/** Of a timer of Node. */
const LONGEST_MS = 2 ** 31 - 1;

function seconds(flag: string, text: string): number {
  const time = parseDuration(text);
  if (time === null || time % 1000 !== 0 || time < 1000 || time / 1000 > LONGEST_S)
    throw usageError(`--${flag} ${text}: whole seconds, at least one, such as 8000s or 2h13m20s`);
  return time / 1000;
}

function lifetimes(flags: TableFlags): NonNullable<AgentOptions["lifetimes"]> {
  return {
    tcp: seconds("bpf-ct-timeout-regular-tcp", flags.bpfCtTimeoutRegularTcp),
    any: seconds("bpf-ct-timeout-regular-any", flags.bpfCtTimeoutRegularAny),
    tcpSyn: seconds("bpf-ct-timeout-regular-tcp-syn", flags.bpfCtTimeoutRegularTcpSyn),
    tcpFin: seconds("bpf-ct-timeout-regular-tcp-fin", flags.bpfCtTimeoutRegularTcpFin),
    serviceTcp: seconds("bpf-ct-timeout-service-tcp", flags.bpfCtTimeoutServiceTcp),
    serviceAny: seconds("bpf-ct-timeout-service-any", flags.bpfCtTimeoutServiceAny),
    serviceTcpGrace: seconds("bpf-ct-timeout-service-tcp-grace", flags.bpfCtTimeoutServiceTcpGrace),
  };
}

/** Milliseconds; null: as often as it is worth. */
function collectEach(text: string): number | null {
  const time = text === "0" ? 0 : parseDuration(text);
  if (time === null || (time !== 0 && time < 1000) || time > LONGEST_MS)
    throw usageError(`--conntrack-gc-interval ${text}: from 1s to 24d, such as 5m, or 0s for as often as it is worth`);
  return time === 0 ? null : time;
}

/** Cilium's limits (pkg/option: LimitTableMin and LimitTableMax, PolicyMapMin and PolicyMapMax, FragmentsMapMin and FragmentsMapMax). */
const TABLE = [1 << 10, 1 << 24] as const;
const SMALL = [1 << 8, 1 << 16] as const;

/** In the order in which the last that names a map wins. */
const SIZES: readonly {
  readonly flag: string;
  readonly key: keyof TableFlags;
  readonly limits: readonly [least: number, most: number];
  readonly maps: readonly string[];
}[] = [
  { flag: "bpf-ct-global-max", key: "bpfCtGlobalMax", limits: TABLE, maps: ["skep_ct"] },
  { flag: "bpf-nat-global-max", key: "bpfNatGlobalMax", limits: TABLE, maps: ["skep_nat"] },
  { flag: "bpf-sock-rev-map-max", key: "bpfSockRevMapMax", limits: TABLE, maps: ["skep_sock_rev"] },
  { flag: "bpf-fragments-map-max", key: "bpfFragmentsMapMax", limits: SMALL, maps: ["skep_fragments"] },
  {
    ...{ flag: "bpf-lb-map-max", key: "bpfLbMapMax", limits: TABLE },
    maps: ["skep_services", "skep_affinity", "skep_aff_match", "skep_src_range"],
  },
  { flag: "bpf-lb-service-map-max", key: "bpfLbServiceMapMax", limits: TABLE, maps: ["skep_services"] },
  {
    ...{ flag: "bpf-lb-affinity-map-max", key: "bpfLbAffinityMapMax", limits: TABLE },
    maps: ["skep_affinity", "skep_aff_match"],
  },
  { flag: "bpf-lb-source-range-map-max", key: "bpfLbSourceRangeMapMax", limits: TABLE, maps: ["skep_src_range"] },
];

/** The flags by which a map gets another size, for who has asked for too little. */
export function sizeFlags(map: string): string {
  return SIZES.filter(({ maps }) => maps.includes(map))
    .map(({ flag }) => `--${flag}`)
    .join(", ");
}

function checkSize(flag: string, entries: number, [least, most]: readonly [number, number]): number {
  if (entries < least || entries > most) throw usageError(`--${flag} ${entries}: from ${least} to ${most} entries`);
  return entries;
}

/** Usual entries, the fewest that a share of the memory gives (Cilium's LimitTableAuto*Min), and bytes of an entry's key and value. */
export const SHARED = {
  skep_ct: { entries: 262_144, least: 1 << 17, bytes: 40 + 72 },
  skep_nat: { entries: 524_288, least: 1 << 17, bytes: 40 + 24 },
  skep_sock_rev: { entries: 262_144, least: 1 << 16, bytes: 32 + 32 },
} as const;

/** The memory in the proportion of the usual sizes, as Cilium divides it. */
function sharedOut(text: string, memory: number): Record<string, number> {
  const ratio = /^\d*\.?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(ratio > 0 && ratio <= 1))
    throw usageError(`--bpf-map-dynamic-size-ratio ${text}: a share of the memory above 0 and up to 1, such as 0.0025`);
  const usual = Object.values(SHARED).reduce((sum, { entries, bytes }) => sum + entries * bytes, 0);
  return Object.fromEntries(
    Object.entries(SHARED).map(([map, { entries, least }]) => {
      const share = Math.floor((entries * memory * ratio) / usual);
      return [map, Math.min(TABLE[1], Math.max(least, share))];
    }),
  );
}

/** `memory`: of the machine, in bytes. Throws usage errors. */
export function tablesOf(
  flags: TableFlags,
  memory: number,
): Pick<AgentOptions, "lifetimes" | "mapEntries" | "policyEntries" | "collectEachMs"> {
  const { bpfMapDynamicSizeRatio: ratio, bpfPolicyMapMax } = flags;
  const mapEntries: Record<string, number> = ratio === undefined ? {} : sharedOut(ratio, memory);
  for (const { flag, key, limits, maps } of SIZES) {
    const entries = flags[key];
    if (typeof entries !== "number") continue;
    checkSize(flag, entries, limits);
    for (const map of maps) mapEntries[map] = entries;
  }
  const eachMs = collectEach(flags.conntrackGcInterval);
  return {
    ...{ lifetimes: lifetimes(flags), mapEntries },
    ...(bpfPolicyMapMax === undefined
      ? {}
      : { policyEntries: checkSize("bpf-policy-map-max", bpfPolicyMapMax, SMALL) }),
    ...(eachMs === null ? {} : { collectEachMs: eachMs }),
  };
}
