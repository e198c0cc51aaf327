/**
 * @module
 * TCP (RFC 9293) as far as exchanges between workloads need it: handshake, data in order, retransmission, both ways of ending. No
 * congestion control, no options but the segment size.
 */
import { type Address, formatAddress, type LayerSpec, sameAddress } from "@skep/net";
import type { Cgroup } from "../processes.ts";
import { SimError } from "../error.ts";
import { runCgroupSkb } from "./cgroup-skb.ts";
import type { Device } from "./device.ts";
import type { Problem } from "./icmp.ts";
import { Ports } from "./ports.ts";
import { runSkLookup } from "./sk-lookup.ts";
import { ANY, type Endpoint, isAny, KIND, onWire, Sock } from "./sock.ts";
import { runCreate } from "./socket-hooks.ts";
import type { Delivered, Stack } from "./stack.ts";
import { FLAG, type Segment } from "./segment.ts";
import { TcpConnection } from "./tcp-connection.ts";
import { TcpSocket } from "./tcp-socket.ts";

const keyOf = (local: Endpoint, remote: Endpoint): string =>
  `${formatAddress(local.address)} ${local.port} ${formatAddress(remote.address)} ${remote.port}`;

const NOTHING = new Uint8Array(0);

export class TcpLayer {
  readonly stack: Stack;
  readonly #bound = new Set<TcpSocket>();
  readonly #connections = new Map<string, TcpConnection>();
  #ports: Ports | null = null;

  constructor(stack: Stack) {
    this.stack = stack;
  }

  get #free(): Ports {
    this.#ports ??= new Ports(this.stack.namespace.network.simulation.random);
    return this.#ports;
  }

  /** A socket that is bound to nothing. Throws what a program answers. */
  socket(options: { readonly family: 4 | 6; readonly cgroup?: Cgroup | null }): TcpSocket {
    const { family, cgroup = null } = options;
    const sock = new Sock({ namespace: this.stack.namespace, cgroup, family, kind: "tcp" });
    runCreate(sock);
    return new TcpSocket(this, sock);
  }

  /**
   * Takes connections to the port: at the address, by default at every address of both families. Throws EADDRINUSE, or what a program
   * answers. Gives what ends it.
   */
  listen(
    options: {
      readonly port: number;
      readonly address?: Address;
      readonly family?: 4 | 6;
      readonly cgroup?: Cgroup | null;
    },
    onConnection: (connection: TcpConnection) => void,
  ): () => void {
    const family = options.family ?? options.address?.family ?? 6;
    const socket = this.socket({ family, cgroup: options.cgroup ?? null });
    try {
      socket.bind({ address: options.address ?? ANY[family], port: options.port });
    } catch (error) {
      socket.close();
      throw error;
    }
    socket.listen(onConnection);
    return () => socket.close();
  }

  /**
   * Opens a connection; resolves when it is open. `family`: of the socket, default the address's. Rejects with what a program answers,
   * ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, or ETIMEDOUT when the time is over.
   */
  async connect(
    to: Endpoint,
    options: { readonly family?: 4 | 6; readonly cgroup?: Cgroup | null; readonly timeout?: number } = {},
  ): Promise<TcpConnection> {
    const { family = to.address.family, cgroup = null, timeout } = options;
    const socket = this.socket({ family, cgroup });
    try {
      return await socket.connect(to, timeout === undefined ? {} : { timeout });
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  // ---- ports and addresses ----

  /** Takes a port for the socket's address; 0: any. Throws EADDRINUSE. */
  take(socket: TcpSocket, wanted: number): number {
    const mine = socket.sock;
    const clashes = [...this.#bound].some(({ sock }) => sock.local.port === wanted && overlap(sock, mine));
    if (wanted !== 0 && clashes) throw new SimError("EADDRINUSE", `TCP port ${wanted}`);
    const port = wanted === 0 ? this.#free.allocate() : wanted;
    if (wanted !== 0) this.#free.claim(port);
    this.#bound.add(socket);
    return port;
  }

  /** The socket's port is free again. */
  giveBack(socket: TcpSocket): void {
    if (this.#bound.delete(socket)) this.#free.release(socket.sock.local.port);
  }

  /** A connection of a socket whose ends are known. */
  make(sock: Sock, onEnd?: () => void): TcpConnection {
    const { local, remote } = sock;
    if (!remote) throw new Error("a connection to nobody");
    const connection = new TcpConnection({
      layer: this,
      sock,
      local,
      remote,
      ...(onEnd ? { onForgotten: onEnd } : {}),
    });
    this.#connections.set(keyOf(local, remote), connection);
    return connection;
  }

  /** The connection is over. */
  forget(connection: TcpConnection): void {
    const key = keyOf(connection.local, connection.remote);
    if (this.#connections.get(key) === connection) this.#connections.delete(key);
  }

  // ---- segments ----

  send(sock: Sock | null, ends: { readonly local: Endpoint; readonly remote: Endpoint }, segment: Segment): void {
    const { flags, sequence, acknowledgment, data } = segment;
    const { local, remote } = ends;
    const layers: LayerSpec[] = [
      {
        ...{ kind: "tcp", sourcePort: local.port, destinationPort: remote.port },
        ...{ sequence: sequence >>> 0, acknowledgment: acknowledgment >>> 0, flags },
      },
      ...(data.length > 0 ? [{ kind: "payload" as const, bytes: data }] : []),
    ];
    this.stack.send({ source: local.address, destination: remote.address, layers, sock });
  }

  receive({ ip, packet, at, device, frame }: Delivered): void {
    const layer = packet.layers[at];
    if (layer?.kind !== "tcp") return;
    const local = { address: ip.destination, port: layer.destinationPort };
    const remote = { address: ip.source, port: layer.sourcePort };
    const span = packet.spans[at];
    const next = packet.spans[at + 1];
    const data = next && span ? packet.bytes.slice(next.offset, span.end) : NOTHING;
    const segment = { flags: layer.flags, sequence: layer.sequence, acknowledgment: layer.acknowledgment, data };
    const known = this.connection(local, remote);
    if (known) {
      if (runCgroupSkb(known.sock, { direction: "ingress", frame, device })) known.receive(segment);
      return;
    }
    const listener = this.#listenerFor(local, remote, device);
    if (listener && !runCgroupSkb(listener.sock, { direction: "ingress", frame, device })) return;
    if (listener && (segment.flags & (FLAG.syn | FLAG.ack | FLAG.rst)) === FLAG.syn)
      listener.accept({ local, remote, segment });
    else if ((segment.flags & FLAG.rst) === 0) this.#reset(local, remote, segment);
  }

  connection(local: Endpoint, remote: Endpoint): TcpConnection | null {
    return this.#connections.get(keyOf(local, remote)) ?? null;
  }

  /** The one that a program chooses, or that listens there (net/ipv4/inet_hashtables.c: __inet_lookup_listener). */
  #listenerFor(local: Endpoint, remote: Endpoint, device: Device): TcpSocket | null {
    const query = { protocol: KIND.tcp.protocol, local, remote, device: device.index };
    const chosen = runSkLookup(this.stack.namespace, query);
    if (chosen === "drop") return null;
    return chosen ? ([...this.#bound].find(({ sock }) => sock === chosen) ?? null) : this.listener(local);
  }

  /** The socket that listens there: one of the address before one of all (net/ipv4/inet_hashtables.c: compute_score). */
  listener(local: Endpoint): TcpSocket | null {
    let best: TcpSocket | null = null;
    let most = -1;
    for (const socket of this.#bound) {
      const { sock } = socket;
      if (!socket.isListening || sock.local.port !== local.port || sock.family < local.address.family) continue;
      const any = isAny(sock.local.address);
      if (!any && !sameAddress(onWire(sock.local.address), local.address)) continue;
      const score = (any ? 0 : 2) + (sock.family === local.address.family ? 1 : 0);
      if (score > most) [best, most] = [socket, score];
    }
    return best;
  }

  /** RFC 9293 section 3.10.7.1: an answer to what belongs to no connection. */
  #reset(local: Endpoint, remote: Endpoint, { flags, sequence, acknowledgment, data }: Segment): void {
    const length = data.length + ((flags & FLAG.syn) !== 0 ? 1 : 0) + ((flags & FLAG.fin) !== 0 ? 1 : 0);
    const answer =
      (flags & FLAG.ack) !== 0
        ? { flags: FLAG.rst, sequence: acknowledgment, acknowledgment: 0 }
        : { flags: FLAG.rst | FLAG.ack, sequence: 0, acknowledgment: sequence + length };
    // A reset belongs to no socket of a cgroup.
    this.send(null, { local, remote }, { ...answer, data: NOTHING });
  }

  problem(about: Problem): void {
    if (about.protocol !== "tcp") return;
    const local = { address: about.source, port: about.sourcePort };
    const remote = { address: about.destination, port: about.destinationPort };
    const code = about.kind === "refused" ? "ECONNREFUSED" : "EHOSTUNREACH";
    this.connection(local, remote)?.problem(new SimError(code, formatAddress(about.destination)));
  }

  /** Largest data of one segment. */
  segmentSize(remote: Address): number {
    return this.stack.mtuTo(remote) - (remote.family === 4 ? 40 : 60);
  }

  /** Ends connections with a reset (net/ipv4/tcp.c: tcp_abort). How many there were. */
  endConnected(isMeant: (sock: Sock) => boolean): number {
    const meant = [...this.#connections.values()].filter(({ sock }) => !sock.isReleased && isMeant(sock));
    for (const connection of meant) connection.abort(new SimError("ECONNABORTED", "ended from outside"));
    return meant.length;
  }

  close(): void {
    this.#bound.clear();
    for (const connection of [...this.#connections.values()]) connection.vanish();
  }
}

/** Both sockets could take a connection to one address. */
function overlap(a: Sock, b: Sock): boolean {
  const [one, other] = [onWire(a.local.address), onWire(b.local.address)];
  if (isAny(one) || isAny(other)) return one.family === other.family || (isAny(one) ? one : other).family === 6;
  return sameAddress(one, other);
}
