/**
 * @module
 * How addresses, protocols, flags, states and durations of the load balancer are written: as Cilium writes them.
 */
import { ALGORITHM, BACKEND_STATE, SERVICE_FLAG } from "./rows.ts";

const PROTOCOL_NAMES: Readonly<Record<number, string>> = { 0: "ANY", 6: "TCP", 17: "UDP", 132: "SCTP" };

export function protocolName(protocol: number): string {
  return PROTOCOL_NAMES[protocol] ?? String(protocol);
}

const TYPE_NAMES = [
  [SERVICE_FLAG.EXTERNAL_IP, "ExternalIPs"],
  [SERVICE_FLAG.NODE_PORT, "NodePort"],
  [SERVICE_FLAG.LOAD_BALANCER, "LoadBalancer"],
  [SERVICE_FLAG.HOST_PORT, "HostPort"],
  [SERVICE_FLAG.LOCAL_REDIRECT, "LocalRedirect"],
] as const;

export function serviceTypeText(flags: number): string {
  return TYPE_NAMES.find(([bit]) => (flags & bit) !== 0)?.[1] ?? "ClusterIP";
}

/** The parts of a service's flags: type first. Being routable is not told, not being so is. */
export function flagTexts(flags: number): string[] {
  const has = (bit: number): boolean => (flags & bit) !== 0;
  const parts: readonly (readonly [boolean, string])[] = [
    [has(SERVICE_FLAG.EXTERNAL_LOCAL), "Local"],
    [has(SERVICE_FLAG.INTERNAL_LOCAL), "InternalLocal"],
    [has(SERVICE_FLAG.TWO_SCOPES), "two-scopes"],
    [has(SERVICE_FLAG.AFFINITY), "sessionAffinity"],
    [!has(SERVICE_FLAG.ROUTABLE), "non-routable"],
    [has(SERVICE_FLAG.SOURCE_RANGE), "check source-range"],
    [has(SERVICE_FLAG.SOURCE_RANGE_DENY), "deny"],
    [has(SERVICE_FLAG.NAT_46X64), "46x64"],
    [has(SERVICE_FLAG.L7), "l7-load-balancer"],
    [has(SERVICE_FLAG.LOOPBACK), "loopback"],
    [has(SERVICE_FLAG.QUARANTINED), "quarantined"],
    [has(SERVICE_FLAG.DSR), "dsr"],
  ];
  return [serviceTypeText(flags), ...parts.flatMap(([on, text]) => (on ? [text] : []))];
}

export function algorithmText(algorithm: number): string {
  if (algorithm === ALGORITHM.MAGLEV) return "maglev";
  return algorithm === ALGORITHM.RANDOM ? "random" : "undef";
}

const STATE_NAMES: Readonly<Record<number, string>> = {
  [BACKEND_STATE.ACTIVE]: "active",
  [BACKEND_STATE.TERMINATING]: "terminating",
  [BACKEND_STATE.QUARANTINED]: "quarantined",
  [BACKEND_STATE.MAINTENANCE]: "maintenance",
};

export function backendStateText(state: number): string {
  return STATE_NAMES[state] ?? String(state);
}

/** `42s`, `1m0s`, `3h0m0s`: as Go writes a duration. */
export function durationText(seconds: number): string {
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  if (seconds < 60) return `${seconds}s`;
  return hours > 0 ? `${hours}h${minutes}m${seconds % 60}s` : `${minutes}m${seconds % 60}s`;
}
