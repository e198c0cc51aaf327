import type { DatapathEvent } from "@skep/datapath";
import type { flow } from "@skep/api";
import { EventType } from "../names/event-types.ts";
import type { Decision, EndpointInfo, FlowContext, PolicyName, ServiceName } from "./context.ts";
import { askedDirection, buildFlow, POLICY_DROPS } from "./flow.ts";
import type { FlowKin } from "./kin.ts";
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
  /** Of the time, the whole ones. */
  readonly seconds: number;
  readonly nodeName: string;
  /** The ends; null where nothing is known of one. */
  readonly source: Pick<EndpointInfo, "clusterName" | "namespace"> | null;
  readonly destination: Pick<EndpointInfo, "clusterName" | "namespace"> | null;
  readonly flow: flow.Flow;
  /** What it has in common with others; absent where that was not looked for. */
  readonly kin?: FlowKin;
  /** Known with its kin. */
  readonly destinationPort?: number;
}

const NONE: readonly never[] = [];

export const isIp = (event: DatapathEvent): boolean => event.ethertype === 0x0800 || event.ethertype === 0x86dd;

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

const NO_ANSWERS = { egressPolicies: NONE, ingressPolicies: NONE, matchType: 0 } as const;

type Answers = Pick<FlowFacts, "egressPolicies" | "ingressPolicies" | "matchType">;

/** A reply that is dropped: the policy that had allowed its connection does so no longer. */
function judgeReply(event: DatapathEvent, context: FlowContext): Answers {
  const direction = askedDirection(event);
  // Seen from the packet that opened the connection.
  const peer = event.direction === "ingress" ? event.sourceIdentity : event.destinationIdentity;
  const { endpoint, cookie, protocol, sourcePort: port } = event;
  const policies = context.policies({ endpoint, direction, cookie, peer, protocol, port });
  return direction === "egress"
    ? { ...NO_ANSWERS, egressPolicies: policies }
    : { ...NO_ANSWERS, ingressPolicies: policies };
}

/** Replies pass unnamed; the first packet between two local ends is asked of both. */
function judge(event: DatapathEvent, context: FlowContext): Answers {
  if (event.reply) {
    const isDenied = event.type === EventType.drop && POLICY_DROPS.includes(event.reason);
    return isDenied ? judgeReply(event, context) : NO_ANSWERS;
  }
  const incoming = event.direction === "ingress";
  const both = incoming && event.sourceEndpoint !== 0;
  const cookie = both ? event.egressCookie : event.cookie;
  const isVerdict = event.type === EventType.policyVerdict;
  return {
    egressPolicies: both || !incoming ? context.policies(decisionOf(event, "egress", cookie)) : NONE,
    ingressPolicies: incoming ? context.policies(decisionOf(event, "ingress", event.cookie)) : NONE,
    matchType: isVerdict ? context.matchType(decisionOf(event, event.direction, event.cookie)) : 0,
  };
}

/** One end: a local endpoint, or what is known of the address. */
function endOf(
  id: number,
  event: DatapathEvent,
  { context, of }: { context: FlowContext; of: "source" | "destination" },
) {
  const local = id === 0 ? null : context.endpoint(id);
  return local ?? (isIp(event) ? context.peer(event[`${of}Identity`], event[of]) : null);
}

/** What the event's numbers mean now; `time` in nanoseconds since 1970. */
export function factsOf(event: DatapathEvent, context: FlowContext, time: bigint): FlowFacts {
  const ip = isIp(event);
  return {
    time,
    nodeName: context.nodeName,
    nodeLabels: context.nodeLabels,
    source: endOf(event.sourceEndpoint, event, { context, of: "source" }),
    destination: endOf(event.destinationEndpoint, event, { context, of: "destination" }),
    sourceNames: ip ? context.names(event.source, event.destinationEndpoint, time) : NONE,
    destinationNames: ip ? context.names(event.destination, event.sourceEndpoint, time) : NONE,
    sourceService: ip ? context.service(event.source, event.sourcePort, event.protocol) : null,
    destinationService: ip ? context.service(event.destination, event.destinationPort, event.protocol) : null,
    interfaceName: event.interfaceIndex === 0 ? "" : context.interfaceName(event.interfaceIndex),
    ...judge(event, context),
  };
}

class EventRecord implements FlowRecord {
  readonly #event: DatapathEvent;
  readonly #facts: FlowFacts;
  readonly #context: FlowContext;
  #flow: flow.Flow | null = null;

  constructor(event: DatapathEvent, context: FlowContext) {
    this.#event = event;
    this.#context = context;
    this.#facts = factsOf(event, context, context.wallTime(event.time));
  }

  get time(): bigint {
    return this.#facts.time;
  }

  get seconds(): number {
    return Number(this.#facts.time / 1_000_000_000n);
  }

  get nodeName(): string {
    return this.#facts.nodeName;
  }

  get source(): EndpointInfo | null {
    return this.#facts.source;
  }

  get destination(): EndpointInfo | null {
    return this.#facts.destination;
  }

  get flow(): flow.Flow {
    return (this.#flow ??= buildFlow(this.#event, this.#facts, this.#context.uuid()));
  }
}

/** Takes an event in: what its numbers mean is looked up now, its message is made later. */
export function recordOf(event: DatapathEvent, context: FlowContext): FlowRecord {
  return new EventRecord(event, context);
}

/** A record of a flow that came as a message: from a file, or from another node. */
export function recordOfFlow(message: flow.Flow): FlowRecord {
  const { source = null, destination = null } = message;
  const time = message.time ? message.time.seconds * 1_000_000_000n + BigInt(message.time.nanos) : 0n;
  const seconds = Number(message.time?.seconds ?? 0n);
  return { time, seconds, nodeName: message.nodeName, source, destination, flow: message };
}
