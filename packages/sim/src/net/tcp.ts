/**
 * @module
 * TCP (RFC 9293) as far as exchanges between workloads need it: handshake, data in order, retransmission, both ways of ending. No
 * congestion control, no options but the segment size.
 */
import { type Address, formatAddress, type LayerSpec } from "@skep/net";
import type { Cgroup } from "../processes.ts";
import { SimError } from "../error.ts";
import type { Problem } from "./icmp.ts";
import { Ports } from "./ports.ts";
import { checkDestination, type Endpoint, runSockAddr, type SocketOwner } from "./socket-hooks.ts";
import type { Delivered, Stack } from "./stack.ts";
import { FLAG, type Segment } from "./segment.ts";
import { TcpConnection } from "./tcp-connection.ts";

const PROTOCOL = 6;
const SOCK_STREAM = 1;
interface Listener {
  readonly port: number;
  readonly owner: SocketOwner;
  readonly onConnection: (connection: TcpConnection) => void;
}

const keyOf = (local: Endpoint, remote: Endpoint): string =>
  `${formatAddress(local.address)} ${local.port} ${formatAddress(remote.address)} ${remote.port}`;

const NOTHING = new Uint8Array(0);

export class TcpLayer {
  readonly stack: Stack;
  readonly #listeners = new Map<number, Listener>();
  readonly #connections = new Map<string, TcpConnection>();
  #ports: Ports | null = null;

  constructor(stack: Stack) {
    this.stack = stack;
  }

  get #free(): Ports {
    this.#ports ??= new Ports(this.stack.namespace.network.simulation.random);
    return this.#ports;
  }

  #owner(cgroup: Cgroup | null): SocketOwner {
    const { namespace } = this.stack;
    return { namespace, cgroup, cookie: namespace.network.nextCookie(), protocol: PROTOCOL, type: SOCK_STREAM };
  }

  /** Takes connections to the port at every address. Throws EADDRINUSE. Gives what ends it. */
  listen(
    options: { readonly port: number; readonly cgroup?: Cgroup | null },
    onConnection: (connection: TcpConnection) => void,
  ): () => void {
    const { port, cgroup = null } = options;
    if (this.#listeners.has(port)) throw new SimError("EADDRINUSE", `TCP port ${port}`);
    const listener = { port, owner: this.#owner(cgroup), onConnection };
    this.#listeners.set(port, listener);
    return () => {
      if (this.#listeners.get(port) === listener) this.#listeners.delete(port);
    };
  }

  /**
   * Opens a connection; resolves when it is open. Rejects with what a program answers, ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, or ETIMEDOUT
   * when the time is over.
   */
  async connect(
    to: Endpoint,
    options: { readonly cgroup?: Cgroup | null; readonly timeout?: number } = {},
  ): Promise<TcpConnection> {
    const owner = this.#owner(options.cgroup ?? null);
    const remote = runSockAddr(owner, "connect", to);
    checkDestination(remote);
    const source = this.stack.sourceFor(remote.address);
    if (!source) throw new SimError("ENETUNREACH", `connecting to ${formatAddress(remote.address)}`);
    const local = { address: source, port: this.#free.allocate() };
    const connection = this.#make(owner, local, remote);
    return new Promise((resolve, reject) => {
      const { clock } = this.stack.namespace.network.simulation;
      const timeout = options.timeout;
      const cancel =
        timeout === undefined
          ? () => undefined
          : clock.after(timeout, () =>
              connection.fail(new SimError("ETIMEDOUT", `connecting to ${formatAddress(to.address)}`)),
            );
      connection.whenOpen((error) => {
        cancel();
        if (error) reject(error);
        else resolve(connection);
      });
      connection.open();
    });
  }

  #make(owner: SocketOwner, local: Endpoint, remote: Endpoint): TcpConnection {
    const connection = new TcpConnection({ layer: this, owner, local, remote });
    this.#connections.set(keyOf(local, remote), connection);
    return connection;
  }

  /** The connection is over. */
  forget(connection: TcpConnection): void {
    const key = keyOf(connection.local, connection.remote);
    if (this.#connections.get(key) !== connection) return;
    this.#connections.delete(key);
    if (connection.isActive) this.#free.release(connection.local.port);
  }

  send(local: Endpoint, remote: Endpoint, segment: Segment): void {
    const { flags, sequence, acknowledgment, data } = segment;
    const layers: LayerSpec[] = [
      {
        ...{ kind: "tcp", sourcePort: local.port, destinationPort: remote.port },
        ...{ sequence: sequence >>> 0, acknowledgment: acknowledgment >>> 0, flags },
      },
      ...(data.length > 0 ? [{ kind: "payload" as const, bytes: data }] : []),
    ];
    this.stack.send({ source: local.address, destination: remote.address, layers });
  }

  receive({ ip, packet, at }: Delivered): void {
    const layer = packet.layers[at];
    if (layer?.kind !== "tcp") return;
    const local = { address: ip.destination, port: layer.destinationPort };
    const remote = { address: ip.source, port: layer.sourcePort };
    const span = packet.spans[at];
    const next = packet.spans[at + 1];
    const data = next && span ? packet.bytes.slice(next.offset, span.end) : NOTHING;
    const segment = { flags: layer.flags, sequence: layer.sequence, acknowledgment: layer.acknowledgment, data };
    const known = this.#connections.get(keyOf(local, remote));
    if (known) {
      known.receive(segment);
      return;
    }
    const listener = this.#listeners.get(local.port);
    if (listener && (segment.flags & (FLAG.syn | FLAG.ack | FLAG.rst)) === FLAG.syn)
      this.#accept(listener, { local, remote, segment });
    else if ((segment.flags & FLAG.rst) === 0) this.#reset(local, remote, segment);
  }

  #accept(listener: Listener, of: { local: Endpoint; remote: Endpoint; segment: Segment }): void {
    const owner = { ...listener.owner, cookie: this.stack.namespace.network.nextCookie() };
    const connection = this.#make(owner, of.local, of.remote);
    connection.whenOpen((error) => {
      if (!error) listener.onConnection(connection);
    });
    connection.accept(of.segment);
  }

  /** RFC 9293 section 3.10.7.1: an answer to what belongs to no connection. */
  #reset(local: Endpoint, remote: Endpoint, { flags, sequence, acknowledgment, data }: Segment): void {
    const length = data.length + ((flags & FLAG.syn) !== 0 ? 1 : 0) + ((flags & FLAG.fin) !== 0 ? 1 : 0);
    const answer =
      (flags & FLAG.ack) !== 0
        ? { flags: FLAG.rst, sequence: acknowledgment, acknowledgment: 0 }
        : { flags: FLAG.rst | FLAG.ack, sequence: 0, acknowledgment: sequence + length };
    this.send(local, remote, { ...answer, data: NOTHING });
  }

  problem(about: Problem): void {
    if (about.protocol !== "tcp") return;
    const local = { address: about.source, port: about.sourcePort };
    const remote = { address: about.destination, port: about.destinationPort };
    const code = about.kind === "refused" ? "ECONNREFUSED" : "EHOSTUNREACH";
    this.#connections.get(keyOf(local, remote))?.problem(new SimError(code, formatAddress(about.destination)));
  }

  /** Largest data of one segment. */
  segmentSize(remote: Address): number {
    return this.stack.mtuTo(remote) - (remote.family === 4 ? 40 : 60);
  }

  close(): void {
    this.#listeners.clear();
    for (const connection of [...this.#connections.values()]) connection.vanish();
  }
}
