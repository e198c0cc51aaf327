/**
 * @module
 * What the text formats say of a flow, as Hubble's printer says it.
 */
import { flow } from "@skep/api";
import { dropReasonText } from "@skep/datapath";
import { EventType, policyMatchTypeName, socketPointName, tracePointName } from "../names/event-types.ts";
import { enumName } from "../names/enums.ts";
import { reservedIdentityName } from "../names/identities.ts";
import { escapeTerminal, type Paint } from "./color.ts";

export interface DescribeOptions {
  /** False: addresses only. */
  readonly translate: boolean;
  readonly policyNames: boolean;
  readonly paint: Paint;
}

type End = "source" | "destination";

function portOf(message: flow.Flow, end: End): number {
  const l4 = message.l4?.protocol;
  switch (l4?.case) {
    case "TCP":
    case "UDP":
    case "SCTP":
      return end === "source" ? l4.value.sourcePort : l4.value.destinationPort;
    default:
      return 0;
  }
}

function hostName(message: flow.Flow, end: End): string {
  const endpoint = message[end];
  const service = end === "source" ? message.sourceService : message.destinationService;
  const names = end === "source" ? message.sourceNames : message.destinationNames;
  const join = (namespace: string, name: string): string => (namespace === "" ? name : `${namespace}/${name}`);
  if (endpoint && endpoint.podName !== "") return join(endpoint.namespace, endpoint.podName);
  if (service && service.name !== "") return join(service.namespace, service.name);
  if (names.length > 0) return names.join(",");
  return message.IP?.[end] ?? "";
}

/** `prod/web-1:80`, `[fd00::1]:80`, or the link address where there is no network header. */
export function endName(message: flow.Flow, end: End, options: DescribeOptions): string {
  const { paint } = options;
  if (!message.IP) return paint.host(escapeTerminal(message.ethernet?.[end] ?? ""));
  const host = escapeTerminal(options.translate ? hostName(message, end) : message.IP[end]);
  const port = portOf(message, end);
  if (port === 0) return paint.host(host);
  const bracketed = host.includes(":") ? `[${paint.host(host)}]` : paint.host(host);
  return `${bracketed}:${paint.port(`${port}`)}`;
}

/** `(ID:1234)` or `(world)`. */
export function identityText(endpoint: flow.Endpoint | undefined, paint: Paint): string {
  const identity = endpoint?.identity ?? 0;
  return paint.identity(`(${reservedIdentityName(identity) ?? `ID:${identity}`})`);
}

function layer7Type(l7: flow.Layer7): string {
  const kind =
    l7.type === flow.L7FlowType.REQUEST ? "request" : l7.type === flow.L7FlowType.RESPONSE ? "response" : "sample";
  const protocol = l7.record.case ?? "l7";
  const observer = l7.record.case === "dns" ? l7.record.value.observationSource : "";
  return `${protocol}-${kind}${observer === "" ? "" : ` ${observer}`}`;
}

/** The column TYPE. */
export function typeText(message: flow.Flow): string {
  if (message.l7) return escapeTerminal(layer7Type(message.l7));
  const event = message.eventType;
  switch (event?.type) {
    case EventType.trace:
      return tracePointName(event.subType);
    case EventType.drop:
      return dropReasonText(event.subType);
    case EventType.policyVerdict: {
      const direction = enumName(flow.TrafficDirectionSchema, message.trafficDirection);
      return `policy-verdict:${policyMatchTypeName(message.policyMatchType)} ${direction ?? message.trafficDirection}`;
    }
    case EventType.capture:
      return enumName(flow.DebugCapturePointSchema, message.debugCapturePoint) ?? `${message.debugCapturePoint}`;
    case EventType.traceSocket:
      return socketPointName(message.sockXlatePoint);
    default:
      return "UNKNOWN";
  }
}

function policyNames(policies: readonly flow.Policy[]): string {
  const named = policies.filter((policy) => policy.name !== "");
  if (named.length === 0) return "";
  return ` BY ${named.map((policy) => escapeTerminal(policy.kind === "" ? policy.name : `${policy.name} (${policy.kind})`)).join(", ")}`;
}

/** The column VERDICT. */
export function verdictText(message: flow.Flow, options: DescribeOptions): string {
  const { paint } = options;
  const judged = message.eventType?.type === EventType.policyVerdict;
  const by = (policies: readonly flow.Policy[]): string => (options.policyNames ? policyNames(policies) : "");
  const name = enumName(flow.VerdictSchema, message.verdict) ?? `${message.verdict}`;
  switch (message.verdict) {
    case flow.Verdict.FORWARDED:
    case flow.Verdict.REDIRECTED:
      if (!judged) return (message.verdict === flow.Verdict.FORWARDED ? paint.good : paint.warn)(name);
      return paint.good(`ALLOWED${by([...message.egressAllowedBy, ...message.ingressAllowedBy])}`);
    case flow.Verdict.DROPPED:
      if (!judged) return paint.bad(name);
      return paint.bad(`DENIED${by([...message.egressDeniedBy, ...message.ingressDeniedBy])}`);
    case flow.Verdict.AUDIT:
      return paint.warn(judged ? "AUDITED" : name);
    case flow.Verdict.ERROR:
      return paint.bad(name);
    default:
      return paint.warn(name);
  }
}

/** The column SUMMARY. */
export function summaryText(message: flow.Flow): string {
  const parts: string[] = [];
  if (message.ipTraceId && message.ipTraceId.traceId !== 0n) parts.push(`IP Trace ID: ${message.ipTraceId.traceId}`);
  if (message.Summary !== "") parts.push(escapeTerminal(message.Summary));
  if (message.authType !== flow.AuthType.DISABLED) {
    parts.push(`Auth: ${enumName(flow.AuthTypeSchema, message.authType) ?? message.authType}`);
  }
  return parts.join("; ");
}
