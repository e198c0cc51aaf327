import type { DatapathEvent } from "@skep/datapath";
import type { flow } from "@skep/api";
import { EventType } from "../names/event-types.ts";
import type { Decision, EndpointInfo, FlowContext, PolicyName, ServiceName } from "./context.ts";
import { askedDirection, buildFlow, POLICY_DROPS } from "./flow.ts";
import { protocols } from "./layer4.ts";

/** What an event's numbers meant when it was read. */
export interface FlowFacts {
  /** Nanoseconds since 1970. */
  readonly time: bigint;
  readonly nodeName: string;
  readonly nodeLabels: readonly string[];
  readonly source: EndpointInfo | null;
  readonly destination: EndpointInfo | null;
  readonly sourceNames: readonly string[];
  readonly destinationNames: readonly string[];
  readonly sourceService: ServiceName | null;
  readonly destinationService: ServiceName | null;
  readonly egressPolicies: readonly PolicyName[];
  readonly ingressPolicies: readonly PolicyName[];
  readonly matchType: number;
  readonly interfaceName: string;
}

/** One flow of the ring. The message is made when it is first asked for: most flows leave the ring unread. */
export interface FlowRecord {
  /** Nanoseconds since 1970. */
  readonly time: bigint;
  readonly nodeName: string;
  /** The ends; null where nothing is known of one. */
  readonly source: Pick<EndpointInfo, "clusterName" | "namespace"> | null;
  readonly destination: Pick<EndpointInfo, "clusterName" | "namespace"> | null;
  readonly flow: flow.Flow;
}

const NONE: readonly never[] = [];

const isIp = (event: DatapathEvent): boolean => event.ethertype === 0x0800 || event.ethertype === 0x86dd;

function decisionOf(event: DatapathEvent, direction: "ingress" | "egress", cookie: number): Decision {
  const icmp = event.protocol === protocols.icmp || event.protocol === protocols.icmpv6;
  return {
    endpoint: direction === "ingress" ? event.destinationEndpoint : event.sourceEndpoint,
    direction,
    cookie,
    peer: direction === "ingress" ? event.sourceIdentity : event.destinationIdentity,
    protocol: event.protocol,
    port: icmp ? event.icmpType : event.destinationPort,
  };
}

class EventRecord implements FlowRecord, FlowFacts {
  readonly time: bigint;
  readonly nodeName: string;
  readonly nodeLabels: readonly string[];
  readonly source: EndpointInfo | null;
  readonly destination: EndpointInfo | null;
  readonly sourceNames: readonly string[];
  readonly destinationNames: readonly string[];
  readonly sourceService: ServiceName | null;
  readonly destinationService: ServiceName | null;
  egressPolicies: readonly PolicyName[] = NONE;
  ingressPolicies: readonly PolicyName[] = NONE;
  matchType = 0;
  readonly interfaceName: string;
  readonly #event: DatapathEvent;
  readonly #context: FlowContext;
  readonly #sequence: number | undefined;
  #flow: flow.Flow | null = null;

  constructor(event: DatapathEvent, context: FlowContext, place: RecordPlace | null) {
    const ip = isIp(event);
    this.#event = event;
    this.#context = context;
    this.#sequence = place?.sequence;
    this.time = place?.time ?? context.wallTime(event.time);
    this.nodeName = context.nodeName;
    this.nodeLabels = context.nodeLabels;
    const peer = (identity: number, address: DatapathEvent["source"]): EndpointInfo | null =>
      ip ? context.peer(identity, address) : null;
    const local = (id: number): EndpointInfo | null => (id === 0 ? null : context.endpoint(id));
    this.source = local(event.sourceEndpoint) ?? peer(event.sourceIdentity, event.source);
    this.destination = local(event.destinationEndpoint) ?? peer(event.destinationIdentity, event.destination);
    this.sourceNames = ip ? context.names(event.source, event.destinationEndpoint, this.time) : NONE;
    this.destinationNames = ip ? context.names(event.destination, event.sourceEndpoint, this.time) : NONE;
    this.sourceService = ip ? context.service(event.source, event.sourcePort, event.protocol) : null;
    this.destinationService = ip ? context.service(event.destination, event.destinationPort, event.protocol) : null;
    this.interfaceName = event.interfaceIndex === 0 ? "" : context.interfaceName(event.interfaceIndex);
    if (!event.reply) this.#judge(event, context);
    else if (event.type === EventType.drop && POLICY_DROPS.includes(event.reason)) this.#judgeReply(event, context);
  }

  /** A reply that is dropped: the policy that had allowed its connection does so no longer. */
  #judgeReply(event: DatapathEvent, context: FlowContext): void {
    const direction = askedDirection(event);
    // Seen from the packet that opened the connection.
    const peer = event.direction === "ingress" ? event.sourceIdentity : event.destinationIdentity;
    const { endpoint, cookie, protocol, sourcePort: port } = event;
    const policies = context.policies({ endpoint, direction, cookie, peer, protocol, port });
    if (direction === "egress") this.egressPolicies = policies;
    else this.ingressPolicies = policies;
  }

  /** Replies pass unnamed; the first packet between two local ends is asked of both. */
  #judge(event: DatapathEvent, context: FlowContext): void {
    const incoming = event.direction === "ingress";
    const both = incoming && event.sourceEndpoint !== 0;
    if (both || !incoming) {
      this.egressPolicies = context.policies(decisionOf(event, "egress", both ? event.egressCookie : event.cookie));
    }
    if (incoming) this.ingressPolicies = context.policies(decisionOf(event, "ingress", event.cookie));
    if (event.type === EventType.policyVerdict) {
      this.matchType = context.matchType(decisionOf(event, event.direction, event.cookie));
    }
  }

  get flow(): flow.Flow {
    this.#flow ??= buildFlow(this.#event, this, this.#context.uuid(this.#sequence));
    return this.#flow;
  }
}

/** Where an event stands that was kept as it came: its message is the same whenever it is made. */
export interface RecordPlace {
  /** Nanoseconds since 1970. */
  readonly time: bigint;
  readonly sequence: number;
}

/** Takes an event in: what its numbers mean is looked up now, its message is made later. */
export function recordOf(event: DatapathEvent, context: FlowContext, place: RecordPlace | null = null): FlowRecord {
  return new EventRecord(event, context, place);
}

/** A record of a flow that came as a message: from a file, or from another node. */
export function recordOfFlow(message: flow.Flow): FlowRecord {
  const { source = null, destination = null } = message;
  const time = message.time ? message.time.seconds * 1_000_000_000n + BigInt(message.time.nanos) : 0n;
  return { time, nodeName: message.nodeName, source, destination, flow: message };
}
