import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { flow } from "@skep/api";
import type { DatapathEvent } from "@skep/datapath";
import { type Address, formatAddress } from "@skep/net";
import { dropReasonName } from "../names/drop-reasons.ts";
import { EventType, observationPoint } from "../names/event-types.ts";
import type { EndpointInfo, PolicyName, ServiceName } from "./context.ts";
import { layer4Of, summaryOf } from "./layer4.ts";
import type { FlowFacts } from "./record.ts";

/** Nanoseconds since 1970 as a message. */
export function timestampOf(nanoseconds: bigint): Timestamp {
  const seconds = nanoseconds / 1_000_000_000n;
  return { $typeName: "google.protobuf.Timestamp", seconds, nanos: Number(nanoseconds % 1_000_000_000n) };
}

const POLICY_DENIED = 133;
/** `reason` of a policy verdict (datapath: bpf/events.bpf.ts). */
const POLICY_VERDICT = { denied: 0, audit: 3 } as const;

/** TRACE_FROM_LXC, TRACE_FROM_OVERLAY. */
const ARRIVALS: readonly number[] = [5, 9];

/** Reasons that come from a policy. */
export const POLICY_DROPS: readonly number[] = [133, 180, 181, 189, 203];

/** The direction of the policy that was asked: a reply is asked of the one that opened its connection. */
export function askedDirection(event: DatapathEvent): "ingress" | "egress" {
  if (!event.reply) return event.direction;
  return event.direction === "ingress" ? "egress" : "ingress";
}

/** Where a packet came in: nobody has looked for its connection yet. */
function isArrival(event: DatapathEvent): boolean {
  return event.type === EventType.trace && ARRIVALS.includes(event.reason);
}

/** What Hubble calls a reply: null where the datapath cannot know. */
function isReply(event: DatapathEvent): boolean | null {
  if (isArrival(event)) return null;
  if (event.reply) return true;
  if (event.type === EventType.drop) return POLICY_DROPS.includes(event.reason) ? false : null;
  return false;
}

/** The direction is that of the connection: a reply that comes in belongs to what went out (pkg/hubble/parser/threefour). */
function trafficDirection(event: DatapathEvent): flow.TrafficDirection {
  const incoming = (event.direction === "ingress") !== event.reply;
  return incoming ? flow.TrafficDirection.INGRESS : flow.TrafficDirection.EGRESS;
}

function verdictOf(event: DatapathEvent): flow.Verdict {
  if (event.type === EventType.drop) return flow.Verdict.DROPPED;
  if (event.type === EventType.policyVerdict) {
    if (event.reason === POLICY_VERDICT.denied) return flow.Verdict.DROPPED;
    if (event.reason === POLICY_VERDICT.audit) return flow.Verdict.AUDIT;
  }
  return flow.Verdict.FORWARDED;
}

const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** As `formatMac` has it, from a table. */
function macText(mac: Uint8Array): string {
  const at = (index: number): string => hex[mac[index] ?? 0] ?? "";
  return `${at(0)}:${at(1)}:${at(2)}:${at(3)}:${at(4)}:${at(5)}`;
}

function isZero(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte !== 0) return false;
  return true;
}

/** Of IPv4 addresses, by their number: few are seen often. */
const addressTexts = new Map<number, string>();
const ADDRESS_TEXTS = 8192;

function addressText(address: Address): string {
  if (address.family !== 4) return formatAddress(address);
  const [a = 0, b = 0, c = 0, d = 0] = address.bytes;
  const key = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
  let text = addressTexts.get(key);
  if (text === undefined) {
    if (addressTexts.size >= ADDRESS_TEXTS) addressTexts.clear();
    addressTexts.set(key, (text = `${a}.${b}.${c}.${d}`));
  }
  return text;
}

function ethernetOf(event: DatapathEvent): flow.Ethernet | undefined {
  if (isZero(event.sourceMac) && isZero(event.destinationMac)) return undefined;
  return {
    $typeName: "flow.Ethernet",
    source: macText(event.sourceMac),
    destination: macText(event.destinationMac),
  };
}

function ipOf(event: DatapathEvent): flow.IP | undefined {
  if (event.ethertype !== 0x0800 && event.ethertype !== 0x86dd) return undefined;
  return {
    $typeName: "flow.IP",
    source: addressText(event.source),
    sourceXlated: "",
    destination: addressText(event.destination),
    ipVersion: event.ethertype === 0x0800 ? flow.IPVersion.IPv4 : flow.IPVersion.IPv6,
    encrypted: false,
  };
}

/** Flows of the same end share its message: nobody changes one. */
const endpoints = new WeakMap<EndpointInfo, flow.Endpoint>();

function endpointOf(info: EndpointInfo | null): flow.Endpoint | undefined {
  if (!info) return undefined;
  let message = endpoints.get(info);
  if (!message) endpoints.set(info, (message = endpointMessage(info)));
  return message;
}

function endpointMessage(info: EndpointInfo): flow.Endpoint {
  return {
    $typeName: "flow.Endpoint",
    ID: info.id,
    identity: info.identity,
    clusterName: info.clusterName,
    namespace: info.namespace,
    labels: [...info.labels],
    podName: info.podName,
    workloads: info.workloads.map(({ name, kind }) => ({ $typeName: "flow.Workload", name, kind })),
  };
}

export const serviceOf = (service: ServiceName): flow.Service => ({
  $typeName: "flow.Service",
  name: service.name,
  namespace: service.namespace,
});

const policyLists = new WeakMap<readonly PolicyName[], flow.Policy[]>();

function policiesOf(policies: readonly PolicyName[]): flow.Policy[] {
  let messages = policyLists.get(policies);
  if (!messages) policyLists.set(policies, (messages = policyMessages(policies)));
  return messages;
}

const policyMessages = (policies: readonly PolicyName[]): flow.Policy[] =>
  policies.map(({ name, namespace, labels, revision, kind }) => ({
    $typeName: "flow.Policy",
    name,
    namespace,
    labels: [...labels],
    revision,
    kind,
  }));

interface Decisions {
  readonly egressAllowed: readonly PolicyName[];
  readonly ingressAllowed: readonly PolicyName[];
  readonly egressDenied: readonly PolicyName[];
  readonly ingressDenied: readonly PolicyName[];
}

const NO_POLICIES: readonly PolicyName[] = [];
const NO_DECISIONS: Decisions = {
  ...{ egressAllowed: NO_POLICIES, ingressAllowed: NO_POLICIES },
  ...{ egressDenied: NO_POLICIES, ingressDenied: NO_POLICIES },
};

function decisionsOf(event: DatapathEvent, facts: FlowFacts): Decisions {
  const none = NO_DECISIONS;
  const { egressPolicies, ingressPolicies } = facts;
  const code = dropCode(event);
  if (verdictOf(event) === flow.Verdict.AUDIT) {
    // What is only audited would have been denied.
    return event.direction === "egress"
      ? { ...none, egressDenied: egressPolicies }
      : { ...none, egressAllowed: egressPolicies, ingressDenied: ingressPolicies };
  }
  if (code === 0) return { ...none, egressAllowed: egressPolicies, ingressAllowed: ingressPolicies };
  if (!POLICY_DROPS.includes(code)) return none;
  if (askedDirection(event) === "egress") return { ...none, egressDenied: egressPolicies };
  // Denied on the way in: the way out had allowed it.
  return { ...none, egressAllowed: egressPolicies, ingressDenied: ingressPolicies };
}

/** The code behind a drop or a denial; 0 where the packet went on. */
function dropCode(event: DatapathEvent): number {
  if (event.type === EventType.drop) return event.reason;
  return verdictOf(event) === flow.Verdict.DROPPED ? POLICY_DENIED : 0;
}

function subTypeOf(event: DatapathEvent): number {
  return event.type === EventType.policyVerdict ? dropCode(event) : event.reason;
}

function traceReasonOf(event: DatapathEvent): flow.TraceReason {
  if (event.type !== EventType.trace) return flow.TraceReason.TRACE_REASON_UNKNOWN;
  if (isArrival(event)) return flow.TraceReason.TRACE_REASON_UNKNOWN;
  if (event.related) return flow.TraceReason.RELATED;
  if (event.established) return flow.TraceReason.ESTABLISHED;
  return event.reply ? flow.TraceReason.REPLY : flow.TraceReason.NEW;
}

const listOf = (texts: readonly string[]): string[] => (texts.length === 0 ? [] : [...texts]);

/** One event as Hubble's message. Written out as a literal: this is the hot path, and `create` is ten times as slow. */
export function buildFlow(event: DatapathEvent, facts: FlowFacts, uuid: string): flow.Flow {
  const ip = ipOf(event);
  const l4 = ip && layer4Of(event);
  const ethernet = ethernetOf(event);
  const reply = isReply(event);
  const code = dropCode(event);
  const source = endpointOf(facts.source);
  const destination = endpointOf(facts.destination);
  const { egressAllowed, ingressAllowed, egressDenied, ingressDenied } = decisionsOf(event, facts);
  const message: flow.Flow = {
    $typeName: "flow.Flow",
    time: timestampOf(facts.time),
    uuid,
    verdict: verdictOf(event),
    dropReason: code,
    authType: flow.AuthType.DISABLED,
    Type: flow.FlowType.L3_L4,
    nodeName: facts.nodeName,
    nodeLabels: listOf(facts.nodeLabels),
    sourceNames: listOf(facts.sourceNames),
    destinationNames: listOf(facts.destinationNames),
    reply: reply === true,
    eventType: { $typeName: "flow.CiliumEventType", type: event.type, subType: subTypeOf(event) },
    trafficDirection: trafficDirection(event),
    policyMatchType: facts.matchType,
    traceObservationPoint: (event.type === EventType.trace
      ? observationPoint(event.reason)
      : 0) as flow.TraceObservationPoint,
    traceReason: traceReasonOf(event),
    dropReasonDesc: (dropReasonName(code) === null ? 0 : code) as flow.DropReason,
    debugCapturePoint: flow.DebugCapturePoint.DBG_CAPTURE_POINT_UNKNOWN,
    proxyPort: 0,
    sockXlatePoint: flow.SocketTranslationPoint.SOCK_XLATE_POINT_UNKNOWN,
    socketCookie: 0n,
    cgroupId: 0n,
    Summary: ip ? summaryOf(event) : ethernet ? "Ethernet" : "",
    egressAllowedBy: policiesOf(egressAllowed),
    ingressAllowedBy: policiesOf(ingressAllowed),
    egressDeniedBy: policiesOf(egressDenied),
    ingressDeniedBy: policiesOf(ingressDenied),
    policyLog: [],
  };
  if (ethernet) message.ethernet = ethernet;
  if (ip) message.IP = ip;
  if (l4) message.l4 = l4;
  if (source) message.source = source;
  if (destination) message.destination = destination;
  if (facts.sourceService) message.sourceService = serviceOf(facts.sourceService);
  if (facts.destinationService) message.destinationService = serviceOf(facts.destinationService);
  if (reply !== null) message.isReply = reply;
  if (event.interfaceIndex !== 0) {
    message.interface = { $typeName: "flow.NetworkInterface", index: event.interfaceIndex, name: facts.interfaceName };
  }
  return message;
}
