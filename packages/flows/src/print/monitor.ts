/**
 * @module
 * A flow as `cilium-dbg monitor` prints the datapath's message behind it (pkg/monitor of Cilium): one line, numbers instead of names.
 */
import { flow } from "@skep/api";
import { dropReasonText } from "@skep/datapath";
import { enumName } from "../names/enums.ts";
import { EventType, policyMatchTypeName, tracePointName } from "../names/event-types.ts";
import { reservedIdentityName } from "../names/identities.ts";
import { escapeTerminal } from "./color.ts";

/** Message types that `--type` takes, by Cilium's names. */
export const monitorTypes: Readonly<Record<string, number>> = {
  drop: EventType.drop,
  debug: EventType.debug,
  capture: EventType.capture,
  trace: EventType.trace,
  "policy-verdict": EventType.policyVerdict,
  "trace-sock": EventType.traceSocket,
  l7: EventType.accessLog,
  agent: EventType.agent,
};

export interface MonitorOptions {
  /** Identities as numbers only. */
  readonly numeric: boolean;
}

const flagNames = ["SYN", "ACK", "FIN", "RST", "PSH", "URG", "ECE", "CWR", "NS"] as const;

/** `tcp SYN, ACK`, `udp`, `icmp EchoRequest` or the numbers. */
function protocolText(l4: flow.Layer4 | undefined): string {
  const protocol = l4?.protocol;
  switch (protocol?.case) {
    case "TCP": {
      const { flags } = protocol.value;
      return `tcp ${flagNames.filter((name) => flags?.[name] === true).join(", ")}`.trimEnd();
    }
    case "UDP":
    case "SCTP":
      return protocol.case.toLowerCase();
    case "ICMPv4":
    case "ICMPv6":
      return `${protocol.case === "ICMPv4" ? "icmp" : "icmpv6"} type ${protocol.value.type} code ${protocol.value.code}`;
    default:
      return "";
  }
}

function endText(address: string, port: number): string {
  if (port === 0) return address;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** `10.0.0.1:4000 -> 10.0.0.2:80 tcp SYN`. */
export function connectionText({ IP, l4, ethernet }: flow.Flow): string {
  if (!IP) return escapeTerminal(`${ethernet?.source ?? ""} -> ${ethernet?.destination ?? ""}`);
  const protocol = l4?.protocol;
  const hasPorts = protocol?.case === "TCP" || protocol?.case === "UDP" || protocol?.case === "SCTP";
  const [from, to] = hasPorts ? [protocol.value.sourcePort, protocol.value.destinationPort] : [0, 0];
  return escapeTerminal(`${endText(IP.source, from)} -> ${endText(IP.destination, to)} ${protocolText(l4)}`.trimEnd());
}

function identityOf(endpoint: flow.Endpoint | undefined, { numeric }: MonitorOptions): string {
  const identity = endpoint?.identity ?? 0;
  return (numeric ? null : reservedIdentityName(identity)) ?? String(identity);
}

/** Whose hook or policy this is: the end on this node that the direction names. */
function localEnd(message: flow.Flow): flow.Endpoint | undefined {
  const isIngress = message.trafficDirection === flow.TrafficDirection.INGRESS;
  return isIngress !== (message.isReply === true) ? message.destination : message.source;
}

function stateText(message: flow.Flow): string {
  const { traceReason } = message;
  if (traceReason === flow.TraceReason.TRACE_REASON_UNKNOWN) {
    if (message.isReply === undefined) return "unknown";
    return message.isReply ? "reply" : "new";
  }
  return enumName(flow.TraceReasonSchema, traceReason)?.toLowerCase() ?? String(traceReason);
}

/** `-> endpoint 12`, `-> stack`: what the packet goes to or comes from. */
function traceText(message: flow.Flow, point: string): string {
  const place = point.replace(/^(?:to|from)-/, "");
  const arrow = point.startsWith("from-") ? "<-" : "->";
  const endpoint = point === "to-endpoint" ? message.destination : point === "from-endpoint" ? message.source : null;
  return endpoint ? `${arrow} endpoint ${endpoint.ID}` : `${arrow} ${place}`;
}

function ifindexText(message: flow.Flow): string {
  const found = message.interface;
  if (!found) return "0";
  return found.name === "" ? String(found.index) : escapeTerminal(found.name);
}

const actions: Readonly<Partial<Record<flow.Verdict, string>>> = {
  [flow.Verdict.FORWARDED]: "allow",
  [flow.Verdict.DROPPED]: "deny",
  [flow.Verdict.AUDIT]: "audit",
  [flow.Verdict.REDIRECTED]: "redirect",
};

function verdictLine(message: flow.Flow): string {
  const local = localEnd(message);
  const remote = local === message.source ? message.destination : message.source;
  const direction = message.trafficDirection === flow.TrafficDirection.INGRESS ? "ingress" : "egress";
  const match = policyMatchTypeName(message.policyMatchType);
  const who = `local EP ID ${local?.ID ?? 0}, remote ID ${remote?.identity ?? 0}`;
  const action = actions[message.verdict] ?? "unknown";
  return `Policy verdict log: ${who}, ${direction}, action ${action}, match ${match}, ${connectionText(message)}`;
}

/** The line of a flow, without a line end. */
export function monitorLine(message: flow.Flow, options: MonitorOptions): string {
  const { type = 0, subType = 0 } = message.eventType ?? {};
  const identities = `identity ${identityOf(message.source, options)}->${identityOf(message.destination, options)}`;
  switch (type) {
    case EventType.drop: {
      const to = message.destination?.ID ?? 0;
      return `xx drop (${dropReasonText(subType)}) to endpoint ${to}, ifindex ${ifindexText(message)}, ${identities}: ${connectionText(message)}`;
    }
    case EventType.trace: {
      const what = traceText(message, tracePointName(subType));
      return `${what}, ${identities} state ${stateText(message)} ifindex ${ifindexText(message)}: ${connectionText(message)}`;
    }
    case EventType.policyVerdict:
      return verdictLine(message);
    default:
      return `message of type ${type}: ${connectionText(message)}`;
  }
}
