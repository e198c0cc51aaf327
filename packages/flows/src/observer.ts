/**
 * @module
 * Hubble's Observer over a ring of flows. Knows nothing of a transport: the agent binds it to one.
 */
import { create } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { flow, observer, relay } from "@skep/api";
import { timestampOf } from "./decode/flow.ts";
import type { FlowKin } from "./decode/kin.ts";
import type { FlowRecord } from "./decode/record.ts";
import { FilterError } from "./filter/error.ts";
import { compileFilters } from "./filter/filter.ts";
import { compileMask } from "./filter/mask.ts";
import { Cursor, CursorStream, type Gap, type Selection } from "./read.ts";
import type { FlowContext } from "./decode/context.ts";
import { FlowRing } from "./flow-ring.ts";
import { type AgentEventRecord, AgentEventRing } from "./agent-event-ring.ts";
import type { FlowServer } from "./server.ts";

/** Events that were lost before they became flows. */
export interface LossRecord {
  readonly time: bigint;
  readonly source: flow.LostEventSource;
  readonly lost: bigint;
}

export interface ObserverOptions {
  readonly nodeName: string;
  readonly version: string;
  /** Nanoseconds since 1970. */
  readonly now: () => bigint;
  /** Flows kept; 4095 where absent. */
  readonly capacity?: number;
  /** Gives names to the events of {@link Observer.addEvent}. */
  readonly context?: FlowContext;
  /** Every flow that is looked at, in order: metrics, history. */
  readonly onFlow?: (record: FlowRecord) => void;
  readonly onLoss?: (source: flow.LostEventSource, lost: bigint) => void;
  readonly onAgentEvent?: (event: flow.AgentEvent) => void;
  /** Milliseconds of one turn in which events are looked at while others wait to be taken in. Default 25. */
  readonly budgetMs?: number;
}

const BUDGET_MS = 25;
/** Events that are looked at in a row. */
const CHUNK = 1024;
/** What was skipped is told at most so often. */
const TELL_MS = 1000;

/** Seconds. */
const NAMESPACE_LIFETIME = 3600;
const RATE_WINDOW = 60;

type Entry = FlowRecord | LossRecord;
type End = NonNullable<FlowRecord["source"]>;

interface SeenNamespace {
  readonly cluster: string;
  readonly namespace: string;
  /** Seconds since 1970. */
  seen: number;
}

interface KinNamespaces {
  readonly kin: FlowKin;
  readonly source: SeenNamespace | null;
  readonly destination: SeenNamespace | null;
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

  #advance(second: number): void {
    if (this.#started === -1) {
      this.#started = second;
      this.#second = second;
    }
    for (let steps = Math.min(second - this.#second, RATE_WINDOW); steps > 0; steps--) {
      this.#buckets[(second - steps + 1) % RATE_WINDOW] = 0;
    }
    this.#second = Math.max(second, this.#second);
  }

  add(second: number): void {
    if (second > this.#second || this.#started === -1) this.#advance(second);
    const at = this.#second % RATE_WINDOW;
    this.#buckets[at] = (this.#buckets[at] ?? 0) + 1;
  }

  get(now: bigint): number {
    this.#advance(Number(now / 1_000_000_000n));
    const age = Math.min(RATE_WINDOW, Math.max(1, this.#second - this.#started + 1));
    return this.#buckets.reduce((sum, each) => sum + each, 0) / age;
  }
}

export class Observer implements FlowServer {
  readonly ring: FlowRing<Entry>;
  readonly agentEvents: AgentEventRing;
  readonly #options: ObserverOptions;
  readonly #startedAt: bigint;
  readonly #rate = new Rate();
  readonly #namespaces = new Map<string, SeenNamespace>();
  /** By the kin's place, so that the common case makes no key. */
  readonly #namespacesOf: (KinNamespaces | undefined)[] = [];
  #seen = 0;
  #lost = 0n;
  #skipped = 0;
  /** Places in the ring of what is no flow, from the first that was not looked at. */
  readonly #others: number[] = [];
  /** Skipped and not told yet. */
  #untold = 0;
  #teller: NodeJS.Timeout | null = null;
  /** The first flow that was not looked at. */
  #looked = 0;
  #isDue = false;
  #spent = 0;

  constructor(options: ObserverOptions) {
    this.#options = options;
    this.#startedAt = options.now();
    const { capacity, context } = options;
    this.ring = new FlowRing({ ...(capacity === undefined ? {} : { capacity }), ...(context ? { context } : {}) });
    this.agentEvents = new AgentEventRing(options.capacity);
  }

  get nodeName(): string {
    return this.#options.nodeName;
  }

  get seen(): bigint {
    return BigInt(this.#seen);
  }

  /** Events that never became flows. */
  get lost(): bigint {
    return this.#lost;
  }

  /** Flows that came faster than they could be looked at: metrics, history and followers do not have them. Told as losses of the queue. */
  get skipped(): bigint {
    return BigInt(this.#skipped);
  }

  add(record: FlowRecord): void {
    this.#seen += 1;
    const isNext = this.#looked === this.ring.next;
    this.ring.push(record);
    if (!isNext) return this.#schedule();
    this.#looked += 1;
    this.#note(record);
    this.#options.onFlow?.(record);
  }

  /**
   * Takes an event in as its bytes lie in the datapath's ring. It is looked at (counted, kept, shown) after the call, in order. Where more comes than
   * can be looked at, what the ring has no room for is skipped, and counted.
   */
  addEvent(view: DataView, at: number): void {
    this.#seen += 1;
    this.ring.putEvent(view, at);
    if (!this.#isDue) this.#schedule();
    const waiting = this.ring.next - this.#looked;
    if (waiting >= this.ring.capacity || waiting % CHUNK === 0) this.#lookWhileTaking(waiting);
  }

  /** In the middle of a row of events: none of them has to be skipped while there is time. */
  #lookWhileTaking(waiting: number): void {
    const budget = this.#options.budgetMs ?? BUDGET_MS;
    if (this.#spent >= budget) return;
    if (waiting < this.ring.capacity - CHUNK) return;
    this.#look(Math.min(this.ring.next, Math.max(this.#looked, this.ring.oldest) + CHUNK), budget);
  }

  #schedule(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    queueMicrotask(() => this.#turn());
  }

  /** After a row of events. What is left over when the time is used up waits for the next turn of the loop. */
  #turn(): void {
    this.#spent = 0;
    this.#look(this.ring.next, this.#options.budgetMs ?? BUDGET_MS);
    this.ring.awake();
    this.#spent = 0;
    if (this.#looked < this.ring.next) setImmediate(() => this.#turn());
    else this.#isDue = false;
  }

  #look(end: number, budget: number): void {
    const { onFlow } = this.#options;
    const started = performance.now();
    const before = this.#spent;
    if (this.#looked < this.ring.oldest) this.#skip(this.ring.oldest - this.#looked);
    while (this.#looked < end) {
      const last = Math.min(end, this.#looked + 128);
      while (this.#looked < last) {
        const entry = this.ring.at(this.#looked++);
        if (!entry) continue;
        if (!("flow" in entry)) {
          this.#others.shift();
          continue;
        }
        this.#note(entry);
        onFlow?.(entry);
      }
      this.#spent = before + performance.now() - started;
      if (this.#spent >= budget) return;
    }
  }

  #note(record: FlowRecord): void {
    const { seconds, kin } = record;
    this.#rate.add(seconds);
    const known = kin && this.#namespacesOf[kin.place];
    if (known && known.kin === kin) {
      if (known.source) known.source.seen = seconds;
      if (known.destination) known.destination.seen = seconds;
      return;
    }
    const source = this.#noteNamespace(record.source, seconds);
    const destination = this.#noteNamespace(record.destination, seconds);
    if (kin) this.#namespacesOf[kin.place] = { kin, source, destination };
  }

  /** Places of the ring that were overwritten; not all of them were flows. */
  #skip(places: number): void {
    this.#looked += places;
    const others = this.#others.findIndex((at) => at >= this.#looked);
    const count = places - this.#others.splice(0, others < 0 ? Infinity : others).length;
    if (count === 0) return;
    this.#skipped += count;
    this.#untold += count;
    this.#options.onLoss?.(flow.LostEventSource.OBSERVER_EVENTS_QUEUE, BigInt(count));
    this.#teller ??= setTimeout(() => this.tellSkipped(), TELL_MS).unref();
  }

  /** Tells now what was skipped, where it was not told yet. */
  tellSkipped(): void {
    if (this.#teller) clearTimeout(this.#teller);
    this.#teller = null;
    if (this.#untold === 0) return;
    const lost = BigInt(this.#untold);
    this.#untold = 0;
    this.#pushLoss(flow.LostEventSource.OBSERVER_EVENTS_QUEUE, lost);
  }

  addLoss(source: flow.LostEventSource, lost: bigint): void {
    this.#lost += lost;
    this.#options.onLoss?.(source, lost);
    this.#pushLoss(source, lost);
  }

  #pushLoss(source: flow.LostEventSource, lost: bigint): void {
    this.#others.push(this.ring.next);
    this.ring.push({ time: this.#options.now(), source, lost });
    this.#schedule();
  }

  addAgentEvent(event: flow.AgentEvent): void {
    this.agentEvents.push({ time: this.#options.now(), event });
    this.#options.onAgentEvent?.(event);
  }

  /** Throws FilterError before the first response. */
  getFlows(request: observer.GetFlowsRequest, signal: AbortSignal): CursorStream<Entry, observer.GetFlowsResponse> {
    const matches = compileFilters(request.whitelist, request.blacklist);
    const mask = compileMask<flow.Flow>(flow.FlowSchema, request.fieldMask?.paths ?? []);
    const isAll = request.whitelist.length + request.blacklist.length === 0;
    const selection = selectionOf<Entry>(
      request,
      isAll ? () => true : (entry) => !("flow" in entry) || matches(entry.flow),
      (entry) => "flow" in entry,
    );
    return new CursorStream(new Cursor(this.ring, selection, signal), (entry) => {
      if ("flow" in entry) return this.#response(entry, mask);
      if (isGap(entry)) return this.#lostResponse(flow.LostEventSource.HUBBLE_RING_BUFFER, BigInt(entry.lost));
      return this.#lostResponse(entry.source, entry.lost, entry.time);
    });
  }

  #response(record: FlowRecord, mask: (message: flow.Flow) => flow.Flow): observer.GetFlowsResponse {
    const { flow: message, nodeName } = record;
    // A literal: `create` costs as much as the flow.
    return {
      $typeName: "observer.GetFlowsResponse",
      responseTypes: { case: "flow", value: mask(message) },
      nodeName,
      time: message.time ?? timestampOf(record.time),
    };
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
  ): CursorStream<AgentEventRecord, observer.GetAgentEventsResponse> {
    const selection = selectionOf<AgentEventRecord>(request, () => true);
    return new CursorStream(new Cursor(this.agentEvents, selection, signal), (entry) =>
      isGap(entry)
        ? null
        : create(observer.GetAgentEventsResponseSchema, {
            agentEvent: entry.event,
            nodeName: this.#options.nodeName,
            time: timestampOf(entry.time),
          }),
    );
  }

  serverStatus(): observer.ServerStatusResponse {
    const now = this.#options.now();
    return create(observer.ServerStatusResponseSchema, {
      numFlows: BigInt(this.ring.size),
      maxFlows: BigInt(this.ring.capacity),
      seenFlows: this.seen,
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

  #noteNamespace(end: End | null, seconds: number): SeenNamespace | null {
    if (end === null || end.namespace === "") return null;
    const key = `${end.clusterName}/${end.namespace}`;
    let entry = this.#namespaces.get(key);
    if (!entry) this.#namespaces.set(key, (entry = { cluster: end.clusterName, namespace: end.namespace, seen: 0 }));
    entry.seen = seconds;
    return entry;
  }

  getNamespaces(): observer.GetNamespacesResponse {
    const oldest = Number(this.#options.now() / 1_000_000_000n) - NAMESPACE_LIFETIME;
    const namespaces = [...this.#namespaces.values()]
      .filter(({ seen }) => seen >= oldest)
      .map(({ cluster, namespace }) => ({ cluster, namespace }))
      .sort((a, b) => a.cluster.localeCompare(b.cluster) || a.namespace.localeCompare(b.namespace));
    return create(observer.GetNamespacesResponseSchema, { namespaces });
  }
}
