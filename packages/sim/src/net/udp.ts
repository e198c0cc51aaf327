/**
 * @module
 * UDP (RFC 768): sockets of a namespace, with the hooks of their cgroups.
 */
import { type Address, formatAddress, sameAddress } from "@skep/net";
import type { Cgroup } from "../processes.ts";
import { SimError } from "../error.ts";
import { runCgroupSkb } from "./cgroup-skb.ts";
import type { Device } from "./device.ts";
import type { Problem } from "./icmp.ts";
import { Ports } from "./ports.ts";
import { runSkLookup } from "./sk-lookup.ts";
import { ANY, type Endpoint, isAny, KIND, onWire, Sock, STATE, shownTo } from "./sock.ts";
import { getOption, setOption, type SocketOption } from "./sock-options.ts";
import { bindSock, checkDestination, nameOf, runCreate, runRelease, runSockAddr } from "./socket-hooks.ts";
import type { Delivered, Stack } from "./stack.ts";

/** Datagrams that wait to be read; the kernel counts bytes (net.core.rmem_default). */
const QUEUE = 256;
const HEADERS = { 4: 28, 6: 48 } as const;

export interface Datagram {
  readonly data: Uint8Array;
  /** As the receiver is shown it. */
  readonly from: Endpoint;
}

export class UdpSocket {
  readonly sock: Sock;
  onDatagram: ((datagram: Datagram) => void) | null = null;
  onError: ((error: Error) => void) | null = null;
  readonly #layer: UdpLayer;

  constructor(layer: UdpLayer, sock: Sock) {
    this.#layer = layer;
    this.sock = sock;
  }

  get port(): number {
    return this.sock.local.port;
  }

  /** What getsockname shows. */
  get name(): Endpoint {
    return nameOf(this.sock, "getsockname");
  }

  /** setsockopt and getsockopt, past the cgroup's programs. Throw what the kernel or a program answers. */
  setOption(which: SocketOption, value: Uint8Array): void {
    setOption(this.sock, which, value);
  }
  option(which: SocketOption, size = 4): Uint8Array {
    return getOption(this.sock, which, size);
  }

  /** What getpeername shows. Throws ENOTCONN. */
  get peer(): Endpoint {
    return nameOf(this.sock, "getpeername");
  }

  /** Throws EINVAL, EADDRINUSE, EADDRNOTAVAIL, or what a program answers. `port` 0: any. */
  bind(to: Endpoint): void {
    bindSock(this.sock, to, (port) => this.#layer.take(this, port));
  }

  /** From now on `send` needs no destination, and only datagrams of the other end arrive. Throws what a program or the stack answers. */
  connect(to: Endpoint): void {
    this.#layer.connect(this, to);
  }

  /** Throws what a program or the stack answers (EPERM, EDESTADDRREQ, ENETUNREACH, EMSGSIZE as EINVAL). */
  send(data: Uint8Array, to?: Endpoint): void {
    this.#layer.send(this, data, to);
  }

  /** What arrived while nobody asked. */
  readonly #queue: (() => Datagram)[] = [];

  /** `open`: shows the datagram to the programs and gives it. */
  take(open: () => Datagram): void {
    if (this.onDatagram) this.onDatagram(open());
    else if (this.#queue.length < QUEUE) this.#queue.push(open);
  }

  /** Resolves with the next datagram, or null when the time is over. */
  receive(timeout = 1000): Promise<Datagram | null> {
    const waiting = this.#queue.shift();
    if (waiting) return Promise.resolve(waiting());
    const { clock } = this.sock.namespace.network.simulation;
    return new Promise((resolve) => {
      const cancel = clock.after(timeout, () => {
        this.onDatagram = null;
        resolve(null);
      });
      this.onDatagram = (datagram) => {
        cancel();
        this.onDatagram = null;
        resolve(datagram);
      };
    });
  }

  /** Ended from outside (net/ipv4/udp.c: udp_abort): it is told, and connected to nobody. */
  abort(): void {
    this.sock.remote = null;
    this.sock.state = STATE.close;
    this.onError?.(new SimError("ECONNABORTED", "ended from outside"));
  }

  close(): void {
    this.#layer.remove(this);
  }
}

export class UdpLayer {
  readonly #stack: Stack;
  readonly #sockets = new Set<UdpSocket>();
  #ports: Ports | null = null;

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  get #free(): Ports {
    this.#ports ??= new Ports(this.#stack.namespace.network.simulation.random);
    return this.#ports;
  }

  /** A socket that is bound to nothing. Throws what a program answers. */
  socket(options: { readonly family: 4 | 6; readonly cgroup?: Cgroup | null }): UdpSocket {
    const { family, cgroup = null } = options;
    const sock = new Sock({ namespace: this.#stack.namespace, cgroup, family, kind: "udp" });
    runCreate(sock);
    return new UdpSocket(this, sock);
  }

  /**
   * A socket that is bound. `port` 0: any; `address`: default every address of the family (default 4; a socket of IPv6 also takes IPv4's).
   * Throws EADDRINUSE, EADDRNOTAVAIL, or what a program answers.
   */
  open(
    options: {
      readonly port?: number;
      readonly address?: Address;
      readonly family?: 4 | 6;
      readonly cgroup?: Cgroup | null;
    } = {},
  ): UdpSocket {
    const family = options.family ?? options.address?.family ?? 4;
    const socket = this.socket({ family, cgroup: options.cgroup ?? null });
    socket.bind({ address: options.address ?? ANY[family], port: options.port ?? 0 });
    return socket;
  }

  /** Takes a port for the socket's address; 0: any. Throws EADDRINUSE. */
  take(socket: UdpSocket, wanted: number): number {
    const clashes = [...this.#sockets].some(
      (each) => each.port === wanted && overlap(each.sock.local.address, socket.sock.local.address),
    );
    if (wanted !== 0 && clashes) throw new SimError("EADDRINUSE", `UDP port ${wanted}`);
    const port = wanted === 0 ? this.#free.allocate() : wanted;
    if (wanted !== 0) this.#free.claim(port);
    this.#sockets.add(socket);
    return port;
  }

  #autobind(socket: UdpSocket): void {
    const { sock } = socket;
    // inet_autobind: no hook is asked.
    if (sock.local.port === 0) sock.local = { ...sock.local, port: this.take(socket, 0) };
  }

  remove(socket: UdpSocket): void {
    runRelease(socket.sock);
    socket.sock.close();
    if (this.#sockets.delete(socket)) this.#free.release(socket.port);
  }

  connect(socket: UdpSocket, to: Endpoint): void {
    const { sock } = socket;
    const { address, port } = runSockAddr(sock, "connect", { ...to, address: shownTo(sock.family, to.address) });
    this.#autobind(socket);
    const remote = { address: onWire(address), port };
    checkDestination(remote);
    const source = this.#stack.sourceFor(remote.address);
    if (!source) throw new SimError("ENETUNREACH", `connecting to ${formatAddress(remote.address)}`);
    if (isAny(sock.local.address)) sock.local = { ...sock.local, address: source };
    sock.remote = remote;
    sock.state = STATE.established;
  }

  send(socket: UdpSocket, data: Uint8Array, to?: Endpoint): void {
    const { sock } = socket;
    const { remote, source } = this.#destination(sock, to);
    checkDestination(remote);
    const { address, port } = remote;
    if (data.length + HEADERS[address.family] > this.#stack.mtuTo(address))
      throw new SimError("EINVAL", `a datagram of ${data.length} bytes does not fit the MTU`);
    this.#autobind(socket);
    const layers = [
      { kind: "udp" as const, sourcePort: socket.port, destinationPort: port },
      { kind: "payload" as const, bytes: data },
    ];
    const from = source ?? (isAny(sock.local.address) ? null : onWire(sock.local.address));
    const failed = this.#stack.send({ ...(from ? { source: from } : {}), destination: address, layers, sock });
    if (failed) throw new SimError(failed, `sending to ${formatAddress(address)}`);
  }

  /** Where a datagram goes; a connected socket's goes past the hook (net/ipv4/udp.c: udp_sendmsg). */
  #destination(sock: Sock, to: Endpoint | undefined): { remote: Endpoint; source: Address | null } {
    if (!to) {
      if (!sock.remote) throw new SimError("EDESTADDRREQ", "sending to nobody");
      return { remote: sock.remote, source: null };
    }
    const wanted = { ...to, address: onWire(to.address) };
    if (sock.family < wanted.address.family) throw new SimError("EAFNOSUPPORT", formatAddress(to.address));
    // A mapped address is IPv4's from here on: its hook is asked (net/ipv6/udp.c: udpv6_sendmsg).
    const { address, port, source } = runSockAddr(sock, "sendmsg", wanted);
    if (wanted.address.family === 6 && onWire(address).family === 4)
      throw new SimError("ENOTSUPP", "a program mapped an address");
    return { remote: { address, port }, source };
  }

  /** False where nobody listens. */
  receive({ ip, packet, at, device, frame }: Delivered): boolean {
    const layer = packet.layers[at];
    if (layer?.kind !== "udp") return false;
    const from = { address: ip.source, port: layer.sourcePort };
    const socket = this.#receiver({ address: ip.destination, port: layer.destinationPort }, from, device);
    if (!socket) return false;
    if (!runCgroupSkb(socket.sock, { direction: "ingress", frame, device })) return true;
    const body = packet.layers[at + 1];
    const data = body?.kind === "payload" ? body.bytes.slice() : bytesBehind(packet.bytes, packet.spans[at]);
    const { sock } = socket;
    socket.take(() => {
      const shown = runSockAddr(sock, "recvmsg", { ...from, address: shownTo(sock.family, from.address) });
      return { data, from: { address: shown.address, port: shown.port } };
    });
    return true;
  }

  /** A connected socket, or the one that a program chooses, or the one that fits best (net/ipv4/udp.c: __udp4_lib_lookup). */
  #receiver(local: Endpoint, remote: Endpoint, device: Device): UdpSocket | null {
    const found = this.find(local, remote);
    if (found?.sock.remote) return found;
    const query = { protocol: KIND.udp.protocol, local, remote, device: device.index };
    const chosen = runSkLookup(this.#stack.namespace, query);
    if (chosen === "drop") return null;
    return chosen ? ([...this.#sockets].find(({ sock }) => sock === chosen) ?? null) : found;
  }

  /** The socket that fits best (net/ipv4/udp.c: compute_score). */
  find(local: Endpoint, remote: Endpoint): UdpSocket | null {
    let best: UdpSocket | null = null;
    let most = -1;
    for (const socket of this.#sockets) {
      const score = scoreOf(socket.sock, local, remote);
      if (score > most) [best, most] = [socket, score];
    }
    return best;
  }

  problem(about: Problem): void {
    if (about.protocol !== "udp") return;
    const code = about.kind === "refused" ? "ECONNREFUSED" : "EHOSTUNREACH";
    const remote = { address: about.destination, port: about.destinationPort };
    const socket = this.find({ address: about.source, port: about.sourcePort }, remote);
    socket?.onError?.(new SimError(code, `${formatAddress(about.destination)} answers`));
  }

  /** How many there were. */
  endConnected(isMeant: (sock: Sock) => boolean): number {
    const meant = [...this.#sockets].filter(({ sock }) => isMeant(sock));
    for (const socket of meant) socket.abort();
    return meant.length;
  }

  close(): void {
    for (const { sock } of this.#sockets) sock.close();
    this.#sockets.clear();
  }
}

/** Two sockets that could both take a packet to one address. */
function overlap(a: Address, b: Address): boolean {
  const [one, other] = [onWire(a), onWire(b)];
  if (isAny(one) || isAny(other)) return one.family === other.family || (isAny(one) ? one : other).family === 6;
  return sameAddress(one, other);
}

/** How well a socket fits a packet; -1: not at all. */
function scoreOf(sock: Sock, local: Endpoint, remote: Endpoint): number {
  if (sock.local.port !== local.port || sock.family < local.address.family) return -1;
  let score = 0;
  if (!isAny(sock.local.address)) {
    if (!sameAddress(onWire(sock.local.address), local.address)) return -1;
    score += 4;
  }
  if (sock.remote) {
    if (sock.remote.port !== remote.port || !sameAddress(sock.remote.address, remote.address)) return -1;
    score += 8;
  }
  return score + (sock.family === local.address.family ? 1 : 0);
}

/** What follows the eight bytes of a UDP header, whatever it was taken for (DNS, a tunnel). */
function bytesBehind(
  bytes: Uint8Array,
  span: { readonly offset: number; readonly end: number } | undefined,
): Uint8Array {
  return span ? bytes.slice(span.offset + 8, span.end) : new Uint8Array(0);
}
