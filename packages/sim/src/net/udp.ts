/**
 * @module
 * UDP (RFC 768): sockets of a namespace, with the hooks of their cgroups.
 */
import { formatAddress } from "@skep/net";
import type { Cgroup } from "../processes.ts";
import { SimError } from "../error.ts";
import type { Problem } from "./icmp.ts";
import { Ports } from "./ports.ts";
import { checkDestination, type Endpoint, runSockAddr, type SocketOwner } from "./socket-hooks.ts";
import type { Delivered, Stack } from "./stack.ts";

const PROTOCOL = 17;
const SOCK_DGRAM = 2;
const HEADERS = { 4: 28, 6: 48 } as const;

export interface Datagram {
  readonly data: Uint8Array;
  /** As the receiver is shown it. */
  readonly from: Endpoint;
}

export class UdpSocket {
  readonly owner: SocketOwner;
  readonly port: number;
  onDatagram: ((datagram: Datagram) => void) | null = null;
  onError: ((error: Error) => void) | null = null;
  readonly #layer: UdpLayer;

  constructor(layer: UdpLayer, owner: SocketOwner, port: number) {
    this.#layer = layer;
    this.owner = owner;
    this.port = port;
  }

  /** Throws what a program or the stack answers (EPERM, ENETUNREACH, EMSGSIZE as EINVAL). */
  send(data: Uint8Array, to: Endpoint): void {
    this.#layer.send(this, data, to);
  }

  /** Resolves with the next datagram, or null when the time is over. */
  receive(timeout = 1000): Promise<Datagram | null> {
    const { clock } = this.owner.namespace.network.simulation;
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

  close(): void {
    this.#layer.remove(this);
  }
}

export class UdpLayer {
  readonly #stack: Stack;
  readonly #sockets = new Map<number, UdpSocket>();
  #ports: Ports | null = null;

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  get #free(): Ports {
    this.#ports ??= new Ports(this.#stack.namespace.network.simulation.random);
    return this.#ports;
  }

  /** `port` 0: any. Throws EADDRINUSE. */
  open(options: { readonly port?: number; readonly cgroup?: Cgroup | null } = {}): UdpSocket {
    const { namespace } = this.#stack;
    const port = options.port || this.#free.allocate();
    if (this.#sockets.has(port)) throw new SimError("EADDRINUSE", `UDP port ${port}`);
    const owner = {
      ...{ namespace, cgroup: options.cgroup ?? null, cookie: namespace.network.nextCookie() },
      ...{ protocol: PROTOCOL, type: SOCK_DGRAM },
    };
    const socket = new UdpSocket(this, owner, port);
    this.#sockets.set(port, socket);
    return socket;
  }

  remove(socket: UdpSocket): void {
    if (this.#sockets.get(socket.port) !== socket) return;
    this.#sockets.delete(socket.port);
    this.#free.release(socket.port);
  }

  send(socket: UdpSocket, data: Uint8Array, to: Endpoint): void {
    const { address, port } = runSockAddr(socket.owner, "sendmsg", to);
    checkDestination({ address, port });
    if (data.length + HEADERS[address.family] > this.#stack.mtuTo(address))
      throw new SimError("EINVAL", `a datagram of ${data.length} bytes does not fit the MTU`);
    const layers = [
      { kind: "udp" as const, sourcePort: socket.port, destinationPort: port },
      { kind: "payload" as const, bytes: data },
    ];
    if (!this.#stack.send({ destination: address, layers }))
      throw new SimError("ENETUNREACH", `sending to ${formatAddress(address)}`);
  }

  /** False where nobody listens. */
  receive({ ip, packet, at }: Delivered): boolean {
    const layer = packet.layers[at];
    if (layer?.kind !== "udp") return false;
    const socket = this.#sockets.get(layer.destinationPort);
    if (!socket) return false;
    const body = packet.layers[at + 1];
    const data = body?.kind === "payload" ? body.bytes.slice() : bytesBehind(packet.bytes, packet.spans[at]);
    const from = runSockAddr(socket.owner, "recvmsg", { address: ip.source, port: layer.sourcePort });
    socket.onDatagram?.({ data, from });
    return true;
  }

  problem(about: Problem): void {
    if (about.protocol !== "udp") return;
    const code = about.kind === "refused" ? "ECONNREFUSED" : "EHOSTUNREACH";
    this.#sockets.get(about.sourcePort)?.onError?.(new SimError(code, `${formatAddress(about.destination)} answers`));
  }

  close(): void {
    this.#sockets.clear();
  }
}

/** What follows the eight bytes of a UDP header, whatever it was taken for (DNS, a tunnel). */
function bytesBehind(
  bytes: Uint8Array,
  span: { readonly offset: number; readonly end: number } | undefined,
): Uint8Array {
  return span ? bytes.slice(span.offset + 8, span.end) : new Uint8Array(0);
}
