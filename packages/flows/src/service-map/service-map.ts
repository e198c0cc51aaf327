/**
 * @module
 * Who talks to whom: flows added up by their ends, protocol and port. Bounded: the least recently seen goes.
 */
import { create } from "@bufbuild/protobuf";
import { flow, skep } from "@skep/api";
import { timestampOf } from "../decode/flow.ts";
import { EventType } from "../names/event-types.ts";
import { nodeOf, type NodeName } from "./node.ts";
import { Rate } from "./rate.ts";

export interface ServiceMapOptions {
  readonly grouping?: skep.Grouping;
  /** Default 2000. */
  readonly maxNodes?: number;
  /** Default 10,000. */
  readonly maxEdges?: number;
}

const MAX_EXTERNAL = 16;
const MAX_PODS = 64;

interface Node {
  readonly message: skep.MapNode;
  seen: bigint;
  isChanged: boolean;
}

interface Edge {
  readonly message: skep.MapEdge;
  readonly rate: Rate;
  readonly dropRate: Rate;
  first: bigint;
  seen: bigint;
  isChanged: boolean;
  /** A rate was told that is not zero: it has to be told again when it falls. */
  isWarm: boolean;
}

interface Transport {
  readonly protocol: string;
  readonly port: number;
}

/** The server's side of a flow: of a reply its source. */
function transportOf({ l4, l7, isReply }: flow.Flow): Transport {
  const record = l7?.record.case;
  const layer7 = record === "http" ? "HTTP" : record === "dns" ? "DNS" : record === "kafka" ? "Kafka" : "";
  const protocol = l4?.protocol;
  switch (protocol?.case) {
    case "TCP":
    case "UDP":
    case "SCTP": {
      const { sourcePort, destinationPort } = protocol.value;
      return { protocol: layer7 || protocol.case, port: isReply === true ? sourcePort : destinationPort };
    }
    default:
      return { protocol: layer7 || (protocol?.case ?? ""), port: 0 };
  }
}

const isL7Error = ({ l7 }: flow.Flow): boolean =>
  (l7?.record.case === "http" && l7.record.value.code >= 400) ||
  (l7?.record.case === "dns" && l7.record.value.rcode !== 0);

const nanoseconds = ({ time }: flow.Flow): bigint => (time ? time.seconds * 1_000_000_000n + BigInt(time.nanos) : 0n);

function note(list: string[], value: string, limit: number): boolean {
  if (value === "" || list.length >= limit || list.includes(value)) return false;
  list.push(value);
  return true;
}

/** Takes the least recently seen eighth away. */
function evict<T extends { readonly seen: bigint }>(rows: Map<string, T>): string[] {
  const ids = [...rows].sort(([, a], [, b]) => (a.seen < b.seen ? -1 : a.seen > b.seen ? 1 : 0)).map(([id]) => id);
  const gone = ids.slice(0, Math.max(1, rows.size >> 3));
  for (const id of gone) rows.delete(id);
  return gone;
}

interface Ends {
  readonly client: NodeName;
  readonly server: NodeName;
}

export class ServiceMap {
  readonly #grouping: skep.Grouping;
  readonly #maxNodes: number;
  readonly #maxEdges: number;
  readonly #nodes = new Map<string, Node>();
  readonly #edges = new Map<string, Edge>();
  #removedNodes: string[] = [];
  #removedEdges: string[] = [];
  #flows = 0n;
  #lost = 0n;

  constructor(options: ServiceMapOptions = {}) {
    this.#grouping = options.grouping ?? skep.Grouping.APP;
    this.#maxNodes = options.maxNodes ?? 2000;
    this.#maxEdges = options.maxEdges ?? 10_000;
  }

  get nodes(): number {
    return this.#nodes.size;
  }

  get edges(): number {
    return this.#edges.size;
  }

  addLost(count: bigint): void {
    this.#lost += count;
  }

  add(message: flow.Flow): void {
    this.#flows += 1n;
    const isReply = message.isReply === true;
    const sourceName = message.sourceNames[0] ?? "";
    const destinationName = message.destinationNames[0] ?? "";
    const source = nodeOf(message.source, sourceName, this.#grouping);
    const destination = nodeOf(message.destination, destinationName, this.#grouping);
    const seen = nanoseconds(message);
    this.#see(source, message, { end: "source", seen });
    this.#see(destination, message, { end: "destination", seen });
    const ends = isReply ? { client: destination, server: source } : { client: source, server: destination };
    this.#count(this.#edge(ends, message, seen), message, seen);
  }

  #see(
    name: NodeName,
    message: flow.Flow,
    at: { readonly end: "source" | "destination"; readonly seen: bigint },
  ): void {
    let node = this.#nodes.get(name.id);
    if (!node) {
      if (this.#nodes.size >= this.#maxNodes) this.#removedNodes.push(...evict(this.#nodes));
      node = { message: create(skep.MapNodeSchema, name), seen: 0n, isChanged: true };
      this.#nodes.set(name.id, node);
    }
    const shown = node.message;
    const endpoint = message[at.end];
    shown.flows += 1n;
    node.isChanged = true;
    if (at.seen >= node.seen) {
      node.seen = at.seen;
      if (endpoint) shown.labels = endpoint.labels;
    }
    if (endpoint && endpoint.identity !== 0 && !shown.identities.includes(endpoint.identity))
      if (shown.identities.length < MAX_PODS) shown.identities.push(endpoint.identity);
    note(shown.pods, endpoint?.podName ?? "", MAX_PODS);
    if (shown.kind === "workload") return;
    note(shown.addresses, message.IP?.[at.end] ?? "", MAX_EXTERNAL);
    for (const dns of at.end === "source" ? message.sourceNames : message.destinationNames)
      note(shown.dnsNames, dns, MAX_EXTERNAL);
  }

  #edge({ client, server }: Ends, message: flow.Flow, seen: bigint): Edge {
    const { protocol, port } = transportOf(message);
    const id = `${client.id}>${server.id} ${protocol}/${port}`;
    let edge = this.#edges.get(id);
    if (!edge) {
      if (this.#edges.size >= this.#maxEdges) this.#removedEdges.push(...evict(this.#edges));
      const shown = create(skep.MapEdgeSchema, { id, source: client.id, destination: server.id, protocol, port });
      const fresh = { rate: new Rate(), dropRate: new Rate(), isChanged: true, isWarm: false };
      edge = { ...fresh, message: shown, first: seen, seen: 0n };
      this.#edges.set(id, edge);
    }
    return edge;
  }

  #count(edge: Edge, message: flow.Flow, seen: bigint): void {
    const shown = edge.message;
    edge.isChanged = true;
    if (seen > edge.seen) edge.seen = seen;
    if (seen < edge.first) edge.first = seen;
    const service = message.isReply === true ? message.sourceService : message.destinationService;
    if (service) shown.service = service.namespace === "" ? service.name : `${service.namespace}/${service.name}`;
    if (isL7Error(message) || message.verdict === flow.Verdict.ERROR) shown.errors += 1n;
    const denied = [...message.egressDeniedBy, ...message.ingressDeniedBy];
    if (denied.length > 0) shown.deniedBy = denied;
    const allowed = [...message.egressAllowedBy, ...message.ingressAllowedBy];
    if (allowed.length > 0) shown.allowedBy = allowed;
    // A verdict has its drop or trace beside it, and a reply its request; only what is audited comes as a verdict alone.
    const isVerdict = message.eventType?.type === EventType.policyVerdict && message.verdict !== flow.Verdict.AUDIT;
    if (isVerdict || (message.isReply === true && message.verdict !== flow.Verdict.DROPPED)) return;
    shown.lastVerdict = message.verdict;
    shown.lastUuid = message.uuid;
    const second = Number(seen / 1_000_000_000n);
    edge.rate.add(second);
    switch (message.verdict) {
      case flow.Verdict.DROPPED:
        shown.dropped += 1n;
        shown.lastDropReason = message.dropReasonDesc;
        shown.lastDropUuid = message.uuid;
        edge.dropRate.add(second);
        break;
      case flow.Verdict.AUDIT:
        shown.audit += 1n;
        break;
      case flow.Verdict.REDIRECTED:
        shown.redirected += 1n;
        break;
      default:
        shown.forwarded += 1n;
    }
  }

  /**
   * What has changed since the last call; the first time that is all. `now` (nanoseconds since 1970): rates are those of the ten seconds before
   * it; null: rates are the mean over the time in which an edge was seen.
   */
  changes(now: bigint | null): skep.GetServiceMapResponse {
    const nodes: skep.MapNode[] = [];
    for (const node of this.#nodes.values()) {
      if (!node.isChanged) continue;
      node.isChanged = false;
      nodes.push({ ...node.message, lastSeen: timestampOf(node.seen) });
    }
    const edges: skep.MapEdge[] = [];
    for (const edge of this.#edges.values()) {
      if (!edge.isChanged && !edge.isWarm) continue;
      edge.isChanged = false;
      const [rate, dropRate] = ratesOf(edge, now);
      edge.isWarm = now !== null && rate > 0;
      Object.assign(edge.message, { rate, dropRate });
      edges.push({ ...edge.message, lastSeen: timestampOf(edge.seen) });
    }
    const removed = { removedNodes: this.#removedNodes, removedEdges: this.#removedEdges };
    this.#removedNodes = [];
    this.#removedEdges = [];
    return create(skep.GetServiceMapResponseSchema, {
      ...{ nodes, edges, ...removed, flows: this.#flows, lost: this.#lost },
      ...(now === null ? {} : { time: timestampOf(now) }),
    });
  }
}

function ratesOf({ rate, dropRate, message, first, seen }: Edge, now: bigint | null): [rate: number, dropRate: number] {
  if (now !== null) {
    const second = Number(now / 1_000_000_000n);
    return [rate.get(second), dropRate.get(second)];
  }
  const { forwarded, dropped, audit, redirected } = message;
  const span = Math.max(1, Number(seen - first) / 1e9);
  return [Number(forwarded + dropped + audit + redirected) / span, Number(dropped) / span];
}
