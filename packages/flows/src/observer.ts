/**
 * @module
 * Hubble's Observer over a ring of flows. Knows nothing of a transport: the agent binds it to one.
 */
import { create } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { flow, observer, relay } from "@skep/api";
import { timestampOf } from "./decode/flow.ts";
import type { FlowRecord } from "./decode/record.ts";
import { FilterError } from "./filter/error.ts";
import { compileFilters } from "./filter/filter.ts";
import { compileMask } from "./filter/mask.ts";
import { type Gap, read, type Selection } from "./read.ts";
import { Ring } from "./ring.ts";
import type { FlowServer } from "./server.ts";

/** Events that were lost before they became flows. */
export interface LossRecord {
  readonly time: bigint;
  readonly source: flow.LostEventSource;
  readonly lost: bigint;
}

export interface AgentEventRecord {
  readonly time: bigint;
  readonly event: flow.AgentEvent;
}

export interface ObserverOptions {
  readonly nodeName: string;
  readonly version: string;
  /** Nanoseconds since 1970. */
  readonly now: () => bigint;
  /** Flows kept; 4095 where absent. */
  readonly capacity?: number;
}

const NAMESPACE_LIFETIME = 3_600_000_000_000n;
const RATE_WINDOW = 60;

type Entry = FlowRecord | LossRecord;
type End = NonNullable<FlowRecord["source"]>;

interface SeenNamespace {
  readonly cluster: string;
  readonly namespace: string;
  seen: bigint;
}

const nanosecondsOf = (time: Timestamp | undefined): bigint | null =>
  time ? time.seconds * 1_000_000_000n + BigInt(time.nanos) : null;

interface RangeRequest {
  readonly number: bigint;
  readonly first: boolean;
  readonly follow: boolean;
  readonly since?: Timestamp | undefined;
  readonly until?: Timestamp | undefined;
}

function selectionOf<T>(
  request: RangeRequest,
  matches: (entry: T) => boolean,
  counts: (entry: T) => boolean = () => true,
): Selection<T> {
  if (request.first && request.follow) throw new FilterError("first and follow exclude each other");
  if (request.number > BigInt(Number.MAX_SAFE_INTEGER)) throw new FilterError(`${request.number} is too many`);
  return {
    number: Number(request.number),
    first: request.first,
    follow: request.follow,
    since: nanosecondsOf(request.since),
    until: nanosecondsOf(request.until),
    matches,
    counts,
  };
}

const isGap = (entry: object): entry is Gap => "lost" in entry && !("time" in entry);

/** Flows per second over the last minute. */
class Rate {
  readonly #buckets = Array.from({ length: RATE_WINDOW }, () => 0);
  #second = 0;
  #started = -1;

  #advance(now: bigint): void {
    const second = Number(now / 1_000_000_000n);
    if (this.#started === -1) {
      this.#started = second;
      this.#second = second;
    }
    for (let steps = Math.min(second - this.#second, RATE_WINDOW); steps > 0; steps--) {
      this.#buckets[(second - steps + 1) % RATE_WINDOW] = 0;
    }
    this.#second = Math.max(second, this.#second);
  }

  add(now: bigint): void {
    this.#advance(now);
    const at = this.#second % RATE_WINDOW;
    this.#buckets[at] = (this.#buckets[at] ?? 0) + 1;
  }

  get(now: bigint): number {
    this.#advance(now);
    const age = Math.min(RATE_WINDOW, Math.max(1, this.#second - this.#started + 1));
    return this.#buckets.reduce((sum, each) => sum + each, 0) / age;
  }
}

export class Observer implements FlowServer {
  readonly ring: Ring<Entry>;
  readonly agentEvents: Ring<AgentEventRecord>;
  readonly #options: ObserverOptions;
  readonly #startedAt: bigint;
  readonly #rate = new Rate();
  readonly #namespaces = new Map<string, SeenNamespace>();
  /** By end, so that the common case makes no key. */
  readonly #namespaceOf = new WeakMap<object, SeenNamespace>();
  #seen = 0n;
  #lost = 0n;

  constructor(options: ObserverOptions) {
    this.#options = options;
    this.#startedAt = options.now();
    this.ring = new Ring(options.capacity);
    this.agentEvents = new Ring(options.capacity);
  }

  get nodeName(): string {
    return this.#options.nodeName;
  }

  get seen(): bigint {
    return this.#seen;
  }

  /** Events that never became flows. */
  get lost(): bigint {
    return this.#lost;
  }

  add(record: FlowRecord): void {
    this.#seen += 1n;
    this.#rate.add(record.time);
    if (record.source) this.#noteNamespace(record.source, record.time);
    if (record.destination) this.#noteNamespace(record.destination, record.time);
    this.ring.push(record);
  }

  addLoss(source: flow.LostEventSource, lost: bigint): void {
    this.#lost += lost;
    this.ring.push({ time: this.#options.now(), source, lost });
  }

  addAgentEvent(event: flow.AgentEvent): void {
    this.agentEvents.push({ time: this.#options.now(), event });
  }

  /** Throws FilterError before the first response. */
  getFlows(
    request: observer.GetFlowsRequest,
    signal: AbortSignal,
  ): AsyncGenerator<observer.GetFlowsResponse, void, undefined> {
    const matches = compileFilters(request.whitelist, request.blacklist);
    const mask = compileMask<flow.Flow>(flow.FlowSchema, request.fieldMask?.paths ?? []);
    const selection = selectionOf<Entry>(
      request,
      (entry) => !("flow" in entry) || matches(entry.flow),
      (entry) => "flow" in entry,
    );
    return this.#flows(selection, mask, signal);
  }

  async *#flows(
    selection: Selection<Entry>,
    mask: (message: flow.Flow) => flow.Flow,
    signal: AbortSignal,
  ): AsyncGenerator<observer.GetFlowsResponse, void, undefined> {
    for await (const entry of read(this.ring, selection, signal)) {
      if ("flow" in entry) yield this.#response(entry, mask);
      else if (isGap(entry)) yield this.#lostResponse(flow.LostEventSource.HUBBLE_RING_BUFFER, BigInt(entry.lost));
      else yield this.#lostResponse(entry.source, entry.lost, entry.time);
    }
  }

  #response(record: FlowRecord, mask: (message: flow.Flow) => flow.Flow): observer.GetFlowsResponse {
    return create(observer.GetFlowsResponseSchema, {
      responseTypes: { case: "flow", value: mask(record.flow) },
      nodeName: record.nodeName,
      time: timestampOf(record.time),
    });
  }

  #lostResponse(source: flow.LostEventSource, lost: bigint, at?: bigint): observer.GetFlowsResponse {
    return create(observer.GetFlowsResponseSchema, {
      responseTypes: { case: "lostEvents", value: create(flow.LostEventSchema, { source, numEventsLost: lost }) },
      nodeName: this.#options.nodeName,
      time: timestampOf(at ?? this.#options.now()),
    });
  }

  /** Throws FilterError before the first response. */
  getAgentEvents(
    request: observer.GetAgentEventsRequest,
    signal: AbortSignal,
  ): AsyncGenerator<observer.GetAgentEventsResponse, void, undefined> {
    return this.#events(
      selectionOf<AgentEventRecord>(request, () => true),
      signal,
    );
  }

  async *#events(
    selection: Selection<AgentEventRecord>,
    signal: AbortSignal,
  ): AsyncGenerator<observer.GetAgentEventsResponse, void, undefined> {
    for await (const entry of read(this.agentEvents, selection, signal)) {
      if (isGap(entry)) continue;
      yield create(observer.GetAgentEventsResponseSchema, {
        agentEvent: entry.event,
        nodeName: this.#options.nodeName,
        time: timestampOf(entry.time),
      });
    }
  }

  serverStatus(): observer.ServerStatusResponse {
    const now = this.#options.now();
    return create(observer.ServerStatusResponseSchema, {
      numFlows: BigInt(this.ring.size),
      maxFlows: BigInt(this.ring.capacity),
      seenFlows: this.#seen,
      uptimeNs: now - this.#startedAt,
      version: this.#options.version,
      flowsRate: this.#rate.get(now),
    });
  }

  getNodes(): observer.GetNodesResponse {
    const status = this.serverStatus();
    return create(observer.GetNodesResponseSchema, {
      nodes: [
        {
          name: this.#options.nodeName,
          version: this.#options.version,
          state: relay.NodeState.NODE_CONNECTED,
          uptimeNs: status.uptimeNs,
          numFlows: status.numFlows,
          maxFlows: status.maxFlows,
          seenFlows: status.seenFlows,
        },
      ],
    });
  }

  #noteNamespace(end: End, time: bigint): void {
    if (end.namespace === "") return;
    const known = this.#namespaceOf.get(end);
    if (known) {
      known.seen = time;
      return;
    }
    const key = `${end.clusterName}/${end.namespace}`;
    const entry = this.#namespaces.get(key) ?? { cluster: end.clusterName, namespace: end.namespace, seen: time };
    entry.seen = time;
    this.#namespaces.set(key, entry);
    this.#namespaceOf.set(end, entry);
  }

  getNamespaces(): observer.GetNamespacesResponse {
    const oldest = this.#options.now() - NAMESPACE_LIFETIME;
    const namespaces = [...this.#namespaces.values()]
      .filter(({ seen }) => seen >= oldest)
      .map(({ cluster, namespace }) => ({ cluster, namespace }))
      .sort((a, b) => a.cluster.localeCompare(b.cluster) || a.namespace.localeCompare(b.namespace));
    return create(observer.GetNamespacesResponseSchema, { namespaces });
  }
}
