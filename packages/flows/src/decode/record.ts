import type { DatapathEvent } from "@skep/datapath";
import type { flow } from "@skep/api";
import type { Decision, EndpointInfo, FlowContext, PolicyName, ServiceName } from "./context.ts";
import { buildFlow } from "./flow.ts";
import { protocols } from "./layer4.ts";

/** What an event's numbers meant when it was read. */
export interface Resolved {
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
  /** Source and destination, where they are known. */
  readonly ends: readonly Pick<EndpointInfo, "clusterName" | "namespace">[];
  readonly flow: flow.Flow;
}

class EventRecord implements FlowRecord {
  readonly time: bigint;
  readonly #event: DatapathEvent;
  readonly #resolved: Resolved;
  readonly #uuid: string;
  #flow: flow.Flow | null = null;

  constructor(event: DatapathEvent, context: FlowContext) {
    this.#event = event;
    this.time = context.wallTime(event.time);
    this.#resolved = resolve(event, context);
    this.#uuid = context.uuid();
  }

  get nodeName(): string {
    return this.#resolved.nodeName;
  }

  get ends(): readonly EndpointInfo[] {
    const { source, destination } = this.#resolved;
    return [source, destination].filter((end) => end !== null);
  }

  get flow(): flow.Flow {
    this.#flow ??= buildFlow(this.#event, { ...this.#resolved, time: this.time, uuid: this.#uuid });
    return this.#flow;
  }
}

/** Takes an event in: what its numbers mean is looked up now, its message is made later. */
export function recordOf(event: DatapathEvent, context: FlowContext): FlowRecord {
  return new EventRecord(event, context);
}

/** A record of a flow that came as a message: from a file, or from another node. */
export function recordOfFlow(message: flow.Flow): FlowRecord {
  const time = message.time ? message.time.seconds * 1_000_000_000n + BigInt(message.time.nanos) : 0n;
  const ends = [message.source, message.destination].filter((end) => end !== undefined);
  return { time, nodeName: message.nodeName, ends, flow: message };
}

const isIp = (event: DatapathEvent): boolean => event.ethertype === 0x0800 || event.ethertype === 0x86dd;

function resolve(event: DatapathEvent, context: FlowContext): Resolved {
  const ip = isIp(event);
  const end = (id: number, identity: number, address: DatapathEvent["source"]): EndpointInfo | null => {
    const local = id === 0 ? null : context.endpoint(id);
    if (local) return local;
    return ip ? context.peer(identity, address) : null;
  };
  const both = event.direction === "ingress" && event.sourceEndpoint !== 0;
  const ingress = decisionOf(event, "ingress", event.cookie);
  const egress = decisionOf(event, "egress", both ? event.egressCookie : event.cookie);
  const judged = !event.reply;
  return {
    nodeName: context.nodeName,
    nodeLabels: context.nodeLabels,
    source: end(event.sourceEndpoint, event.sourceIdentity, event.source),
    destination: end(event.destinationEndpoint, event.destinationIdentity, event.destination),
    sourceNames: ip ? context.names(event.source, event.destinationEndpoint) : [],
    destinationNames: ip ? context.names(event.destination, event.sourceEndpoint) : [],
    sourceService: ip ? context.service(event.source, event.sourcePort, event.protocol) : null,
    destinationService: ip ? context.service(event.destination, event.destinationPort, event.protocol) : null,
    egressPolicies: judged && (both || event.direction === "egress") ? context.policies(egress) : [],
    ingressPolicies: judged && event.direction === "ingress" ? context.policies(ingress) : [],
    matchType: judged ? context.matchType(event.direction === "ingress" ? ingress : egress) : 0,
    interfaceName: event.interfaceIndex === 0 ? "" : context.interfaceName(event.interfaceIndex),
  };
}

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
