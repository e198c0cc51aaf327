import { create } from "@bufbuild/protobuf";
import { type Timestamp, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { flow } from "@skep/api";
import type { DatapathEvent } from "@skep/datapath";
import { formatAddress, formatMac } from "@skep/net";
import { dropReasonName } from "../names/drop-reasons.ts";
import { EventType, observationPoint } from "../names/event-types.ts";
import type { EndpointInfo, PolicyName } from "./context.ts";
import { layer4Of, summaryOf } from "./layer4.ts";
import type { Resolved } from "./record.ts";

type FlowInit = Partial<Omit<flow.Flow, "$typeName" | "$unknown">>;

export interface FlowFacts extends Resolved {
  /** Nanoseconds since 1970. */
  readonly time: bigint;
  readonly uuid: string;
}

/** Nanoseconds since 1970 as a message. */
export function timestampOf(nanoseconds: bigint): Timestamp {
  const seconds = nanoseconds / 1_000_000_000n;
  return create(TimestampSchema, { seconds, nanos: Number(nanoseconds - seconds * 1_000_000_000n) });
}

const POLICY_DENIED = 133;

/** Reasons that only the first packet of a direction can have: a reply is never asked of the policy. */
const POLICY_DROPS: readonly number[] = [133, 180, 181, 189, 203];

/** What Hubble calls a reply: null where the datapath cannot know. */
function isReply(event: DatapathEvent): boolean | null {
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
  if (event.type === EventType.policyVerdict && event.reason === 0) return flow.Verdict.DROPPED;
  return flow.Verdict.FORWARDED;
}

const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);

function ethernetOf(event: DatapathEvent): flow.Ethernet | undefined {
  if (isZero(event.sourceMac) && isZero(event.destinationMac)) return undefined;
  return create(flow.EthernetSchema, {
    source: formatMac(event.sourceMac),
    destination: formatMac(event.destinationMac),
  });
}

function ipOf(event: DatapathEvent): flow.IP | undefined {
  if (event.ethertype !== 0x0800 && event.ethertype !== 0x86dd) return undefined;
  return create(flow.IPSchema, {
    source: formatAddress(event.source),
    destination: formatAddress(event.destination),
    ipVersion: event.ethertype === 0x0800 ? flow.IPVersion.IPv4 : flow.IPVersion.IPv6,
  });
}

function endpointOf(info: EndpointInfo | null): flow.Endpoint | undefined {
  if (!info) return undefined;
  return create(flow.EndpointSchema, {
    ID: info.id,
    identity: info.identity,
    clusterName: info.clusterName,
    namespace: info.namespace,
    labels: [...info.labels],
    podName: info.podName,
    workloads: info.workloads.map((workload) => create(flow.WorkloadSchema, workload)),
  });
}

const policiesOf = (policies: readonly PolicyName[]): flow.Policy[] =>
  policies.map((policy) => create(flow.PolicySchema, { ...policy, labels: [...policy.labels] }));

function decisions(event: DatapathEvent, facts: FlowFacts): FlowInit {
  const egress = policiesOf(facts.egressPolicies);
  const ingress = policiesOf(facts.ingressPolicies);
  if (verdictOf(event) !== flow.Verdict.DROPPED) return { egressAllowedBy: egress, ingressAllowedBy: ingress };
  if (!POLICY_DROPS.includes(dropCode(event))) return {};
  // Denied on the way in: the way out had allowed it.
  return event.direction === "egress"
    ? { egressDeniedBy: egress }
    : { egressAllowedBy: egress, ingressDeniedBy: ingress };
}

/** The code behind a drop or a denial; 0 where the packet went on. */
function dropCode(event: DatapathEvent): number {
  if (event.type === EventType.drop) return event.reason;
  return verdictOf(event) === flow.Verdict.DROPPED ? POLICY_DENIED : 0;
}

function kindOf(event: DatapathEvent): FlowInit {
  const code = dropCode(event);
  const subType = event.type === EventType.policyVerdict ? code : event.reason;
  const eventType = create(flow.CiliumEventTypeSchema, { type: event.type, subType });
  if (code !== 0) {
    return {
      eventType,
      dropReason: code,
      dropReasonDesc: dropReasonName(code) === null ? 0 : (code as flow.DropReason),
    };
  }
  if (event.type !== EventType.trace) return { eventType };
  return {
    eventType,
    traceObservationPoint: observationPoint(event.reason) as flow.TraceObservationPoint,
    traceReason: event.reply ? flow.TraceReason.REPLY : flow.TraceReason.NEW,
  };
}

/** One event as Hubble's message. */
export function buildFlow(event: DatapathEvent, facts: FlowFacts): flow.Flow {
  const ip = ipOf(event);
  const l4 = ip && layer4Of(event);
  const ethernet = ethernetOf(event);
  const reply = isReply(event);
  const source = endpointOf(facts.source);
  const destination = endpointOf(facts.destination);
  return create(flow.FlowSchema, {
    time: timestampOf(facts.time),
    uuid: facts.uuid,
    verdict: verdictOf(event),
    Type: flow.FlowType.L3_L4,
    nodeName: facts.nodeName,
    nodeLabels: [...facts.nodeLabels],
    ...(ethernet && { ethernet }),
    ...(ip && { IP: ip }),
    ...(l4 && { l4 }),
    ...(source && { source }),
    ...(destination && { destination }),
    sourceNames: [...facts.sourceNames],
    destinationNames: [...facts.destinationNames],
    ...(facts.sourceService && { sourceService: create(flow.ServiceSchema, facts.sourceService) }),
    ...(facts.destinationService && { destinationService: create(flow.ServiceSchema, facts.destinationService) }),
    reply: reply === true,
    ...(reply !== null && { isReply: reply }),
    trafficDirection: trafficDirection(event),
    policyMatchType: facts.matchType,
    ...(event.interfaceIndex !== 0 && {
      interface: create(flow.NetworkInterfaceSchema, { index: event.interfaceIndex, name: facts.interfaceName }),
    }),
    ...kindOf(event),
    ...decisions(event, facts),
    Summary: ip ? summaryOf(event) : ethernet ? "Ethernet" : "",
  });
}
