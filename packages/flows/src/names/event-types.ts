/** Types of monitor messages (pkg/monitor/api/types.go of Cilium). */
export const EventType = {
  drop: 1,
  debug: 2,
  capture: 3,
  trace: 4,
  policyVerdict: 5,
  traceSocket: 7,
  accessLog: 129,
  agent: 130,
} as const;

const traceNames = [
  "to-endpoint",
  "to-proxy",
  "to-host",
  "to-stack",
  "to-overlay",
  "from-endpoint",
  "from-proxy",
  "from-host",
  "from-stack",
  "from-overlay",
  "from-network",
  "to-network",
  "from-crypto",
  "to-crypto",
] as const;

/** Name of an observation point as the monitor numbers it. */
export function tracePointName(point: number): string {
  return traceNames[point] ?? `${point}`;
}

/** Observation points by name, for filters. */
export function tracePointByName(name: string): number | null {
  const point = traceNames.findIndex((each) => each === name);
  return point === -1 ? null : point;
}

export const tracePointNames: readonly string[] = traceNames;

/** Hubble counts to-endpoint, 0 in the monitor message, as 101. */
export function observationPoint(point: number): number {
  return point === 0 ? 101 : point;
}

const matchTypes = ["none", "L3-Only", "L3-L4", "L4-Only", "all", "L3-Proto", "Proto-Only"] as const;

export function policyMatchTypeName(type: number): string {
  return matchTypes[type] ?? "unknown";
}

const socketPoints: Readonly<Record<number, string>> = {
  1: "pre-xlate-fwd",
  2: "post-xlate-fwd",
  3: "pre-xlate-rev",
  4: "post-xlate-rev",
};

export function socketPointName(point: number): string {
  return socketPoints[point] ?? "SOCK_XLATE_POINT_UNKNOWN";
}

/** Message types as filters name them (`--type`). */
export const eventTypeNames: Readonly<Record<string, number>> = {
  drop: EventType.drop,
  capture: EventType.capture,
  trace: EventType.trace,
  "policy-verdict": EventType.policyVerdict,
  "trace-sock": EventType.traceSocket,
  l7: EventType.accessLog,
};
