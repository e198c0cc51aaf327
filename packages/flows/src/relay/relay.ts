/**
 * @module
 * Several servers of Hubble's API as one: flows in the order of their time, totals summed, and a word on each node that does not answer.
 */
import { create } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { flow, observer, relay } from "@skep/api";
import { compileFilters } from "../filter/filter.ts";
import { compileMask } from "../filter/mask.ts";
import { FilterError } from "../filter/error.ts";
import { type Followed, FollowedList } from "../peers.ts";
import type { FlowServer } from "../server.ts";
import { Channel } from "./channel.ts";
import { Heap } from "./heap.ts";
import { pause } from "./pause.ts";

interface CallOptions {
  readonly signal?: AbortSignal;
}

/** The calls of a Connect client of observer.Observer that a relay makes. */
export interface PeerClient {
  getFlows(request: observer.GetFlowsRequest, options: CallOptions): AsyncIterable<observer.GetFlowsResponse>;
  getAgentEvents(
    request: observer.GetAgentEventsRequest,
    options: CallOptions,
  ): AsyncIterable<observer.GetAgentEventsResponse>;
  getNamespaces(request: object, options: CallOptions): Promise<observer.GetNamespacesResponse>;
  getNodes(request: object, options: CallOptions): Promise<observer.GetNodesResponse>;
  serverStatus(request: object, options: CallOptions): Promise<observer.ServerStatusResponse>;
}

export interface RelayPeer {
  readonly name: string;
  readonly address: string;
  readonly tls?: boolean;
  /** Name that is expected in its certificate, where one was told. */
  readonly tlsServerName?: string;
  readonly client: PeerClient;
}

export interface RelayOptions {
  readonly name: string;
  readonly version: string;
  /** Fixed, or as they come and go. */
  readonly peers: readonly RelayPeer[] | Followed<RelayPeer>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** While following, flows wait for earlier ones of other nodes this long. Default 1000 ms, as Hubble's relay. */
  readonly drainMs?: number;
  /** And no more than so many wait. Default 100. */
  readonly sortBuffer?: number;
  /** A node that has gone is asked again after this, doubled up to 30 s. Default 500 ms. */
  readonly retryMs?: number;
  /** For calls with one answer. Default 5000 ms. */
  readonly timeoutMs?: number;
}

type Answer<T> = { readonly peer: RelayPeer } & ({ readonly value: T } | { readonly error: unknown });

interface Timed {
  readonly time?: Timestamp | undefined;
}

function earlier(a: Timed, b: Timed): boolean {
  const [left, right] = [a.time, b.time];
  if (!left || !right) return !left && right !== undefined;
  return left.seconds < right.seconds || (left.seconds === right.seconds && left.nanos < right.nanos);
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const MAX_RETRY_MS = 30_000;

type Settings = Required<RelayOptions> & { readonly peers: Followed<RelayPeer> };

const isList = (peers: RelayOptions["peers"]): peers is readonly RelayPeer[] => Array.isArray(peers);

interface Limits {
  readonly since?: Timestamp | undefined;
  readonly number: bigint;
  readonly first: boolean;
  readonly follow: boolean;
}

export class Relay implements FlowServer {
  readonly #options: Settings;
  readonly #startedAt: number;

  constructor(options: RelayOptions) {
    const peers = isList(options.peers) ? new FollowedList(options.peers) : options.peers;
    this.#options = { drainMs: 1000, sortBuffer: 100, retryMs: 500, timeoutMs: 5000, ...options, peers };
    this.#startedAt = options.now();
  }

  get nodeName(): string {
    return this.#options.name;
  }

  getFlows(request: observer.GetFlowsRequest, signal: AbortSignal): AsyncIterable<observer.GetFlowsResponse> {
    // A request that cannot be is refused here, once, and not by every node.
    compileFilters(request.whitelist, request.blacklist);
    compileMask<flow.Flow>(flow.FlowSchema, request.fieldMask?.paths ?? []);
    if (request.first && request.follow) throw new FilterError("first and follow exclude each other");
    const call = (peer: RelayPeer, since: Timestamp | undefined, inner: AbortSignal) =>
      peer.client.getFlows(
        since ? create(observer.GetFlowsRequestSchema, { ...request, since, number: 0n }) : request,
        {
          signal: inner,
        },
      );
    const status = (state: relay.NodeState, names: string[], message = ""): observer.GetFlowsResponse =>
      create(observer.GetFlowsResponseSchema, {
        responseTypes: { case: "nodeStatus", value: { stateChange: state, nodeNames: names, message } },
        nodeName: this.#options.name,
        time: timestampFromMs(this.#options.now()),
      });
    return this.#merge({ request, call, status, counts: (each) => each.responseTypes.case === "flow" }, signal);
  }

  getAgentEvents(
    request: observer.GetAgentEventsRequest,
    signal: AbortSignal,
  ): AsyncIterable<observer.GetAgentEventsResponse> {
    if (request.first && request.follow) throw new FilterError("first and follow exclude each other");
    const call = (peer: RelayPeer, since: Timestamp | undefined, inner: AbortSignal) =>
      peer.client.getAgentEvents(
        since ? create(observer.GetAgentEventsRequestSchema, { ...request, since, number: 0n }) : request,
        { signal: inner },
      );
    return this.#merge({ request, call, status: null, counts: () => true }, signal);
  }

  async *#merge<T extends Timed>(source: MergeSource<T>, signal: AbortSignal): AsyncGenerator<T, void, undefined> {
    const stop = new AbortController();
    const end = (): void => stop.abort();
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted) end();
    const merge = new Merge(source, this.#options, stop.signal);
    try {
      yield* source.request.follow ? merge.following() : merge.once();
    } finally {
      signal.removeEventListener("abort", end);
      end();
    }
  }

  // ---- calls with one answer ----

  async #ask<T>(call: (peer: RelayPeer, options: CallOptions) => Promise<T>): Promise<Answer<T>[]> {
    const signal = AbortSignal.timeout(this.#options.timeoutMs);
    return Promise.all(
      this.#options.peers.current().map((peer) =>
        call(peer, { signal }).then(
          (value) => ({ peer, value }),
          (error: unknown) => ({ peer, error }),
        ),
      ),
    );
  }

  async getNodes(): Promise<observer.GetNodesResponse> {
    const answers = await this.#ask((peer, options) => peer.client.serverStatus({}, options));
    const nodes = answers.map((answer) => {
      const { name, address, tls, tlsServerName: serverName = "" } = answer.peer;
      const known = { name, address, tls: { enabled: tls === true, serverName } };
      if ("error" in answer) return { ...known, state: relay.NodeState.NODE_UNAVAILABLE };
      const { version, uptimeNs, numFlows, maxFlows, seenFlows } = answer.value;
      return { ...known, state: relay.NodeState.NODE_CONNECTED, version, uptimeNs, numFlows, maxFlows, seenFlows };
    });
    return create(observer.GetNodesResponseSchema, { nodes });
  }

  async getNamespaces(): Promise<observer.GetNamespacesResponse> {
    const answers = await this.#ask((peer, options) => peer.client.getNamespaces({}, options));
    const found = new Map<string, { cluster: string; namespace: string }>();
    for (const answer of answers) {
      if ("error" in answer) continue;
      for (const { cluster, namespace } of answer.value.namespaces)
        found.set(`${cluster}/${namespace}`, { cluster, namespace });
    }
    const namespaces = [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, each]) => each);
    return create(observer.GetNamespacesResponseSchema, { namespaces });
  }

  async serverStatus(): Promise<observer.ServerStatusResponse> {
    const answers = await this.#ask((peer, options) => peer.client.serverStatus({}, options));
    const there = answers.flatMap((answer) => ("value" in answer ? [answer.value] : []));
    const gone = answers.filter((answer) => "error" in answer).map(({ peer }) => peer.name);
    const sum = (pick: (status: observer.ServerStatusResponse) => bigint): bigint =>
      there.reduce((total, each) => total + pick(each), 0n);
    return create(observer.ServerStatusResponseSchema, {
      numFlows: sum((each) => each.numFlows),
      maxFlows: sum((each) => each.maxFlows),
      seenFlows: sum((each) => each.seenFlows),
      uptimeNs: BigInt(Math.round((this.#options.now() - this.#startedAt) * 1_000_000)),
      numConnectedNodes: there.length,
      numUnavailableNodes: gone.length,
      unavailableNodes: gone,
      version: this.#options.version,
      flowsRate: there.reduce((total, each) => total + each.flowsRate, 0),
    });
  }
}

interface MergeSource<T> {
  readonly request: Limits;
  /** `since`: the node has gone and come back; what it sent before is not wanted again. */
  readonly call: (peer: RelayPeer, since: Timestamp | undefined, signal: AbortSignal) => AsyncIterable<T>;
  /** Makes the word on nodes; null where the stream has none. */
  readonly status: ((state: relay.NodeState, names: string[], message?: string) => T) | null;
  readonly counts: (each: T) => boolean;
}

/** One request to all nodes. */
class Merge<T extends Timed> {
  readonly #source: MergeSource<T>;
  readonly #options: Settings;
  readonly #signal: AbortSignal;
  /** By name of a node: what was before this has been sent, or is not wanted. */
  readonly #since = new Map<string, Timestamp>();

  constructor(source: MergeSource<T>, options: Settings, signal: AbortSignal) {
    this.#source = source;
    this.#options = options;
    this.#signal = signal;
  }

  *#status(state: relay.NodeState, names: string[], message = ""): Generator<T, void, undefined> {
    if (this.#source.status && names.length > 0) yield this.#source.status(state, names, message);
  }

  /** All that every node has, then the first or last of it. */
  async *once(): AsyncGenerator<T, void, undefined> {
    const answers = await Promise.all(this.#options.peers.current().map((peer) => this.#collect(peer)));
    const names = (wanted: boolean): string[] =>
      answers.flatMap(({ peer, error }) => ((error === null) === wanted ? [peer.name] : []));
    yield* this.#status(relay.NodeState.NODE_CONNECTED, names(true));
    for (const { peer, error } of answers) {
      if (error !== null) yield* this.#status(relay.NodeState.NODE_UNAVAILABLE, [peer.name], error);
    }
    yield* this.#limited(answers.flatMap(({ values }) => values));
  }

  #limited(values: T[]): T[] {
    const sorted = values.sort((a, b) => (earlier(a, b) ? -1 : earlier(b, a) ? 1 : 0));
    const { number, first } = this.#source.request;
    const counted = sorted.filter((each) => this.#source.counts(each)).length;
    const surplus = number === 0n ? 0 : counted - Number(number);
    if (surplus <= 0) return sorted;
    const keep = new Set(
      sorted.filter((each) => this.#source.counts(each)).slice(...(first ? [0, Number(number)] : [surplus])),
    );
    return sorted.filter((each) => !this.#source.counts(each) || keep.has(each));
  }

  async #collect(peer: RelayPeer): Promise<{ peer: RelayPeer; values: T[]; error: string | null }> {
    const values: T[] = [];
    try {
      for await (const value of this.#source.call(peer, undefined, this.#signal)) values.push(value);
      return { peer, values, error: null };
    } catch (error) {
      return { peer, values, error: textOf(error) };
    }
  }

  /** As it comes, each waiting a little for earlier ones of other nodes. */
  async *following(): AsyncGenerator<T, void, undefined> {
    const channel = new Channel<T>();
    const heap = new Heap<T>(earlier);
    const atFirst = [...this.#options.peers.current()];
    const told = this.#keepFollowing(atFirst, channel);
    yield* this.#status(
      relay.NodeState.NODE_CONNECTED,
      atFirst.map((peer) => peer.name),
    );
    while (!this.#signal.aborted) {
      let next = channel.take();
      if (!next) {
        await channel.ready(this.#signal, heap.size > 0 ? this.#options.drainMs : MAX_RETRY_MS);
        next = channel.take();
      }
      if (next) heap.push(next.value);
      // Where nothing came while it waited, no earlier one is under way.
      const kept = next ? this.#options.sortBuffer : 0;
      while (heap.size > kept) {
        const value = heap.pop();
        if (value !== undefined) yield value;
      }
    }
    await told;
  }

  /** Follows those that are there, and those that come; lets go of those that go. */
  async #keepFollowing(atFirst: readonly RelayPeer[], channel: Channel<T>): Promise<void> {
    const following = new Map<RelayPeer, AbortController>();
    const begin = (peer: RelayPeer): void => {
      const stop = new AbortController();
      following.set(peer, stop);
      void this.#follow(peer, { channel, signal: AbortSignal.any([stop.signal, this.#signal]) });
    };
    for (const peer of atFirst) begin(peer);
    let now: readonly RelayPeer[] = atFirst;
    while (!this.#signal.aborted) {
      const changed = this.#options.peers.changed(this.#signal);
      now = this.#options.peers.current();
      const names = new Set(now.map(({ name }) => name));
      const before = new Set([...following.keys()].map(({ name }) => name));
      for (const [peer, stop] of following) {
        if (now.includes(peer)) continue;
        following.delete(peer);
        stop.abort();
        if (!names.has(peer.name)) void this.#tell(channel, relay.NodeState.NODE_GONE, peer);
      }
      for (const peer of now) {
        if (following.has(peer)) continue;
        if (!before.has(peer.name)) {
          // Who asked for no time wants what is from now on.
          this.#since.set(peer.name, this.#since.get(peer.name) ?? this.#joined());
          void this.#tell(channel, relay.NodeState.NODE_CONNECTED, peer);
        }
        begin(peer);
      }
      await changed;
    }
  }

  #joined(): Timestamp {
    return this.#source.request.since ?? timestampFromMs(this.#options.now());
  }

  async #tell(channel: Channel<T>, state: relay.NodeState, peer: RelayPeer, message = ""): Promise<void> {
    for (const word of this.#status(state, [peer.name], message)) await channel.send(word);
  }

  /** Until the request ends; a node that goes away is asked again, from where it broke off. */
  async #follow(peer: RelayPeer, { channel, signal }: { channel: Channel<T>; signal: AbortSignal }): Promise<void> {
    let wait = this.#options.retryMs;
    let isGone = false;
    while (!signal.aborted) {
      let message = "the stream has ended";
      try {
        for await (const value of this.#source.call(peer, this.#since.get(peer.name), signal)) {
          if (signal.aborted) return;
          if (isGone) await this.#tell(channel, relay.NodeState.NODE_CONNECTED, peer);
          isGone = false;
          if (value.time) this.#since.set(peer.name, after(value.time));
          wait = this.#options.retryMs;
          await channel.send(value);
        }
      } catch (error) {
        message = textOf(error);
      }
      if (signal.aborted) return;
      if (!this.#since.has(peer.name)) this.#since.set(peer.name, timestampFromMs(this.#options.now()));
      if (!isGone) await this.#tell(channel, relay.NodeState.NODE_UNAVAILABLE, peer, message);
      isGone = true;
      await pause(wait, signal);
      wait = Math.min(wait * 2, MAX_RETRY_MS);
    }
  }
}

/** A nanosecond later: the flow of that moment has been sent. */
function after({ seconds, nanos }: Timestamp): Timestamp {
  const next = nanos + 1;
  const carry = next === 1_000_000_000;
  return { $typeName: "google.protobuf.Timestamp", seconds: carry ? seconds + 1n : seconds, nanos: carry ? 0 : next };
}
