/**
 * @module
 * Hubble's metrics of flows (Cilium 1.20, pkg/hubble/metrics): names, labels, and which flow counts.
 */
import { flow } from "@skep/api";
import { dropReasonName } from "../names/drop-reasons.ts";
import { enumName } from "../names/enums.ts";
import { EventType, policyMatchTypeName, tracePointName } from "../names/event-types.ts";
import { MetricsError } from "./options.ts";

/** Labels of the series that a flow counts in; null: it counts in none. */
type Count = (message: flow.Flow) => readonly string[] | null;

export interface Handler {
  /** Of the series, with the prefix. */
  readonly metric: string;
  readonly help: string;
  readonly labels: readonly string[];
  readonly count: Count;
  /** The destination's port takes a part in it, where the flow is no reply. What else does is the same for all flows of a kin. */
  readonly isByPort?: boolean;
}

type Make = (flags: ReadonlySet<string>) => Handler;

const isForwarded = ({ verdict }: flow.Flow): boolean =>
  verdict === flow.Verdict.FORWARDED || verdict === flow.Verdict.REDIRECTED;

export function protocolOf({ l4, l7 }: flow.Flow): string {
  if (l7?.record.case === "dns") return "DNS";
  if (l7?.record.case === "http") return "HTTP";
  return l4?.protocol.case ?? "Unknown";
}

function destinationPort({ l4 }: flow.Flow): string | null {
  const protocol = l4?.protocol;
  switch (protocol?.case) {
    case "TCP":
    case "UDP":
    case "SCTP":
      return String(protocol.value.destinationPort);
    default:
      return null;
  }
}

const familyOf = ({ IP }: flow.Flow): string =>
  IP?.ipVersion === flow.IPVersion.IPv6 ? "IPv6" : IP?.ipVersion === flow.IPVersion.IPv4 ? "IPv4" : "Unknown";

function typeAndSubtype(message: flow.Flow): [type: string, subtype: string] {
  const { type = 0, subType = 0 } = message.eventType ?? {};
  switch (type) {
    case EventType.accessLog:
      return ["L7", (message.l7?.record.case ?? "").toUpperCase()];
    case EventType.drop:
      return ["Drop", ""];
    case EventType.capture:
      return ["Capture", ""];
    case EventType.trace:
      return ["Trace", tracePointName(subType)];
    case EventType.policyVerdict:
      return ["PolicyVerdict", ""];
    case EventType.traceSocket:
      return ["TraceSock", ""];
    default:
      return ["Unknown", ""];
  }
}

function tcpFlag(flags: flow.TCPFlags | undefined): string | null {
  if (!flags) return null;
  if (flags.FIN) return "FIN";
  if (flags.SYN) return flags.ACK ? "SYN-ACK" : "SYN";
  return flags.RST ? "RST" : null;
}

const isWorld = (message: flow.Flow): boolean =>
  message.destination?.labels.some((label) => label.startsWith("reserved:world")) === true;

const verdictName = (message: flow.Flow): string => enumName(flow.VerdictSchema, message.verdict) ?? "";

const drop: Make = () => ({
  metric: "hubble_drop_total",
  help: "Number of drops",
  labels: ["reason", "protocol"],
  count: (message) => {
    if (message.verdict !== flow.Verdict.DROPPED || message.eventType?.type === EventType.policyVerdict) return null;
    const code = message.eventType?.subType ?? 0;
    return [dropReasonName(code) ?? String(code), protocolOf(message)];
  },
});

const flows: Make = () => ({
  metric: "hubble_flows_processed_total",
  help: "Total number of flows processed",
  labels: ["protocol", "type", "subtype", "verdict"],
  count: (message) => [protocolOf(message), ...typeAndSubtype(message), verdictName(message)],
});

const toWorld: Make = (flags) => ({
  metric: "hubble_flows_to_world_total",
  help: "Total number of flows to reserved:world",
  labels: ["protocol", "verdict", ...(flags.has("port") ? ["port"] : [])],
  count: (message) => {
    if (!isWorld(message) || message.isReply === true) return null;
    // Without any-drop only what a policy dropped: the rest never was a flow.
    const isDrop = message.verdict === flow.Verdict.DROPPED;
    if (isDrop && !flags.has("any-drop") && message.dropReasonDesc !== flow.DropReason.POLICY_DENIED) return null;
    const protocol = message.l4?.protocol;
    if (flags.has("syn-only") && protocol?.case === "TCP" && tcpFlag(protocol.value.flags) !== "SYN") return null;
    const port = flags.has("port") ? [destinationPort(message) ?? ""] : [];
    return [protocolOf(message), verdictName(message), ...port];
  },
  isByPort: flags.has("port"),
});

const tcp: Make = () => ({
  metric: "hubble_tcp_flags_total",
  help: "TCP flag occurrences",
  labels: ["flag", "family"],
  count: (message) => {
    const protocol = message.l4?.protocol;
    const flag = isForwarded(message) && protocol?.case === "TCP" ? tcpFlag(protocol.value.flags) : null;
    return flag === null ? null : [flag, familyOf(message)];
  },
});

const icmp: Make = () => ({
  metric: "hubble_icmp_total",
  help: "Number of ICMP messages",
  labels: ["family", "type"],
  count: (message) => {
    const kind = message.l4?.protocol.case;
    if (!isForwarded(message) || (kind !== "ICMPv4" && kind !== "ICMPv6")) return null;
    return [kind === "ICMPv4" ? "IPv4" : "IPv6", message.Summary.replace(/^ICMPv[46] /, "")];
  },
});

const ports: Make = () => ({
  metric: "hubble_port_distribution_total",
  help: "Numbers of packets distributed by destination port",
  labels: ["protocol", "port"],
  count: (message) => {
    const port = destinationPort(message);
    if (!isForwarded(message) || port === null || message.isReply !== false) return null;
    return [protocolOf(message), port];
  },
  isByPort: true,
});

const policy: Make = () => ({
  metric: "hubble_policy_verdicts_total",
  help: "Total number of Cilium network policy verdicts",
  labels: ["direction", "match", "action"],
  count: (message) => {
    if (message.eventType?.type !== EventType.policyVerdict) return null;
    const direction = message.trafficDirection === flow.TrafficDirection.INGRESS ? "ingress" : "egress";
    const actions: Partial<Record<flow.Verdict, string>> = {
      [flow.Verdict.FORWARDED]: "forwarded",
      [flow.Verdict.DROPPED]: "dropped",
      [flow.Verdict.AUDIT]: "audit",
      [flow.Verdict.REDIRECTED]: "redirected",
    };
    const match = policyMatchTypeName(message.policyMatchType).toLowerCase();
    return [direction, match, actions[message.verdict] ?? "unknown"];
  },
});

const handlers: Readonly<Record<string, Make>> = {
  ...{ drop, flow: flows, "flows-to-world": toWorld, tcp, icmp, "port-distribution": ports, policy },
};

/** Names that {@link handlerOf} knows. */
export const metricNames: readonly string[] = Object.keys(handlers);

/** Throws MetricsError where there is no such metric. */
export function handlerOf(name: string, flags: ReadonlySet<string>): Handler {
  const make = handlers[name];
  if (!make) throw new MetricsError(`there is no metric "${name}": one of ${metricNames.join(", ")}`);
  return make(flags);
}
