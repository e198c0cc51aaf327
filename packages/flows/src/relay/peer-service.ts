/**
 * @module
 * The nodes of a relay as a Peer service names them: they come, change and go while the relay runs.
 */
import { peer } from "@skep/api";
import { FollowedList, type PeerRow } from "../peers.ts";
import { pause } from "./pause.ts";
import type { PeerClient, RelayPeer } from "./relay.ts";

export interface OpenPeer extends RelayPeer {
  close(): void;
}

export interface ServicePeersOptions {
  /** Calls Notify. */
  readonly notify: (signal: AbortSignal) => AsyncIterable<peer.ChangeNotification>;
  /** Connects to a node; what it throws is what each call to that node answers. */
  readonly open: (row: PeerRow) => OpenPeer;
  /** Nodes that are there whatever the service says; it cannot take their names. */
  readonly fixed?: readonly RelayPeer[];
  /** The service has broken off. */
  readonly onError?: (error: unknown) => void;
  /** It is asked again after this, doubled up to 30 s. Default 500 ms. */
  readonly retryMs?: number;
  /** A node that the service does not name again within this time of answering again has gone. Default 5000 ms. */
  readonly settleMs?: number;
}

const MAX_RETRY_MS = 30_000;

interface Known {
  readonly row: PeerRow;
  readonly peer: OpenPeer;
  /** Of the call to the service that named it last. */
  call: number;
}

/** Follows a Peer service until it is closed. */
export class ServicePeers extends FollowedList<RelayPeer> {
  readonly #options: Required<Pick<ServicePeersOptions, "retryMs" | "settleMs" | "fixed">> & ServicePeersOptions;
  readonly #known = new Map<string, Known>();
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  #call = 0;

  constructor(options: ServicePeersOptions) {
    super(options.fixed ?? []);
    this.#options = { retryMs: 500, settleMs: 5000, fixed: [], ...options };
    this.#ended = this.#run();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    let wait = this.#options.retryMs;
    while (!signal.aborted) {
      this.#call += 1;
      let settle: NodeJS.Timeout | undefined;
      try {
        for await (const change of this.#options.notify(signal)) {
          wait = this.#options.retryMs;
          settle ??= setTimeout(() => this.#dropUnnamed(), this.#options.settleMs);
          this.#take(change);
        }
        if (!signal.aborted) this.#options.onError?.(new Error("the stream has ended"));
      } catch (error) {
        if (!signal.aborted) this.#options.onError?.(error);
      } finally {
        clearTimeout(settle);
      }
      await pause(wait, signal);
      wait = Math.min(wait * 2, MAX_RETRY_MS);
    }
  }

  #take({ name, address, type, tls }: peer.ChangeNotification): void {
    if (name === "" || this.#options.fixed.some((each) => each.name === name)) return;
    const known = this.#known.get(name);
    if (type === peer.ChangeNotificationType.PEER_DELETED) {
      if (known) this.#drop([known]);
      return;
    }
    const row = { name, address, ...(tls && { tlsServerName: tls.serverName }) };
    if (known && known.row.address === address && known.row.tlsServerName === row.tlsServerName) {
      known.call = this.#call;
      return;
    }
    this.#known.set(name, { row, peer: this.#open(row), call: this.#call });
    this.#publish();
    known?.peer.close();
  }

  #open(row: PeerRow): OpenPeer {
    try {
      if (row.address === "") throw new Error(`the peer service tells no address of ${row.name}`);
      return this.#options.open(row);
    } catch (error) {
      return {
        name: row.name,
        address: row.address,
        tls: row.tlsServerName !== undefined,
        client: failing(error),
        close: () => undefined,
      };
    }
  }

  #drop(gone: readonly Known[]): void {
    for (const { row } of gone) this.#known.delete(row.name);
    this.#publish();
    for (const { peer: each } of gone) each.close();
  }

  #dropUnnamed(): void {
    const gone = [...this.#known.values()].filter(({ call }) => call !== this.#call);
    if (gone.length > 0) this.#drop(gone);
  }

  #publish(): void {
    const named = [...this.#known.values()].map((each) => each.peer);
    this.set([...this.#options.fixed, ...named.sort((a, b) => (a.name < b.name ? -1 : 1))]);
  }

  /** Ends, and closes the connections to the nodes that the service named. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
    for (const { peer: each } of this.#known.values()) each.close();
  }
}

/** Of a node that cannot be connected to: every call says why. */
function failing(error: unknown): PeerClient {
  // eslint-disable-next-line require-yield
  const stream = async function* (): AsyncGenerator<never, void, undefined> {
    await Promise.reject(error as Error);
  };
  const call = (): Promise<never> => Promise.reject(error as Error);
  return { getFlows: stream, getAgentEvents: stream, getNamespaces: call, getNodes: call, serverStatus: call };
}
