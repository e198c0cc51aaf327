/**
 * @module
 * The IP stack of a namespace: what arrives is delivered, forwarded or answered with an ICMP message; what leaves is routed and resolved.
 */
import {
  type Address,
  buildPacket,
  formatAddress,
  type Layer,
  type LayerSpec,
  type Mac,
  type ParsedPacket,
  parsePacket,
  updateChecksum16,
  verifyChecksums,
} from "@skep/net";
import type { Device } from "./device.ts";
import { runCgroupSkb } from "./cgroup-skb.ts";
import { aboutOf, errorLayers, echoReply, type IcmpProblem } from "./icmp.ts";
import type { SimNamespace } from "./namespace.ts";
import { NeighbourTable } from "./neighbours.ts";
import { packetOf, type Packet } from "./packet.ts";
import type { Sock } from "./sock.ts";
import { TcpLayer } from "./tcp.ts";
import { UdpLayer } from "./udp.ts";
import { decapsulate } from "./tunnel.ts";

const ETHERNET = 14;
const DEFAULT_TTL = 64;

type IpLayer = Extract<Layer, { kind: "ipv4" | "ipv6" }>;

/** What a transport is handed: its own layer and what is in it. */
export interface Delivered {
  readonly ip: IpLayer;
  readonly packet: ParsedPacket;
  /** Index of the transport's layer. */
  readonly at: number;
  readonly device: Device;
  /** As it came. */
  readonly frame: Uint8Array;
}

const isGroup = (mac: Uint8Array): boolean => ((mac[0] ?? 0) & 1) === 1;
const sameMac = (a: Uint8Array, b: Uint8Array): boolean => a.every((byte, at) => byte === b[at]);

export class Stack {
  readonly namespace: SimNamespace;
  readonly tcp: TcpLayer;
  readonly udp: UdpLayer;
  readonly #neighbours: NeighbourTable;
  /** Echo replies, by what was sent. */
  readonly #echoes = new Map<string, () => void>();

  constructor(namespace: SimNamespace) {
    this.namespace = namespace;
    this.tcp = new TcpLayer(this);
    this.udp = new UdpLayer(this);
    this.#neighbours = new NeighbourTable(namespace, (packet) => this.#tellUnreachable(packet));
  }

  get #counters(): { otherDrops: number } {
    return this.namespace.network.counters;
  }

  close(): void {
    this.tcp.close();
    this.udp.close();
  }

  // ---- receive ----

  /** A frame that the hooks of the device have let pass. */
  receive(device: Device, packet: Packet): void {
    const { frame } = packet;
    const isMine = device.kind === "loopback" || isGroup(frame) || sameMac(frame.subarray(0, 6), device.mac);
    if (frame.length < ETHERNET || !isMine) {
      this.#counters.otherDrops += 1;
      return;
    }
    const parsed = parsePacket(frame);
    if (this.#neighbours.receive(device, parsed)) return;
    const at = parsed.layers.findIndex(({ kind }) => kind === "ipv4" || kind === "ipv6");
    const ip = parsed.layers[at];
    if (ip?.kind !== "ipv4" && ip?.kind !== "ipv6") {
      this.#counters.otherDrops += 1;
      return;
    }
    const isWrong = verifyChecksums(parsed).some((each) => each.layer === at && each.state === "wrong");
    if (isWrong || this.#isDisabled(device, ip)) this.#counters.otherDrops += 1;
    else if (this.namespace.isOwn(ip.destination)) this.#deliver(device, parsed, at);
    else this.#forward(device, packet, ip);
  }

  #isDisabled(device: Device, ip: IpLayer): boolean {
    if (ip.kind === "ipv4") return false;
    return [device.name, "all"].some((name) => this.namespace.sysctl(`net/ipv6/conf/${name}/disable_ipv6`) === "1");
  }

  #deliver(device: Device, packet: ParsedPacket, ipAt: number): void {
    const ip = packet.layers[ipAt];
    if (ip?.kind !== "ipv4" && ip?.kind !== "ipv6") return;
    const at = packet.layers.findIndex(
      ({ kind }, index) => index > ipAt && ["tcp", "udp", "icmp", "icmpv6"].includes(kind),
    );
    const layer = packet.layers[at];
    const isWrong = verifyChecksums(packet).some((each) => each.layer === at && each.state === "wrong");
    if (!layer || isWrong) {
      this.#counters.otherDrops += 1;
      return;
    }
    const delivered = { ip, packet, at, device, frame: packet.bytes };
    if (layer.kind === "tcp") this.tcp.receive(delivered);
    else if (layer.kind === "udp") {
      if (!this.#receiveTunnel(delivered) && !this.udp.receive(delivered)) this.#answerError(packet, ip, "port");
    } else this.#receiveIcmp(delivered);
  }

  /** Whether a tunnel's device took the datagram (udp_sk(sk)->encap_rcv). */
  #receiveTunnel({ ip, packet, at }: Delivered): boolean {
    const layer = packet.layers[at];
    const device = layer?.kind === "udp" ? this.namespace.tunnelAt(layer.destinationPort) : null;
    const span = packet.spans[at];
    if (!device?.up || !span) return false;
    const outer = {
      ...{ source: ip.source.bytes, destination: ip.destination.bytes },
      ...(ip.kind === "ipv4"
        ? { tos: (ip.dscp << 2) | ip.ecn, ttl: ip.ttl }
        : { tos: ip.trafficClass, ttl: ip.hopLimit }),
    };
    const inner = decapsulate(device.kind, packet.bytes.slice(span.offset + 8, span.end), outer);
    if (inner) this.namespace.network.receive(device, inner);
    else this.#counters.otherDrops += 1;
    return true;
  }

  #receiveIcmp(delivered: Delivered): void {
    const { ip, packet, at } = delivered;
    const layer = packet.layers[at];
    if (layer?.kind !== "icmp" && layer?.kind !== "icmpv6") return;
    const echo = echoReply(packet, at);
    if (echo) {
      this.send({ source: ip.destination, destination: ip.source, layers: echo });
      return;
    }
    const about = aboutOf(packet, at);
    if (about) {
      this.tcp.problem(about);
      this.udp.problem(about);
      return;
    }
    this.#echoes.get(`${formatAddress(ip.source)} ${layer.rest}`)?.();
  }

  // ---- forward ----

  #forward(device: Device, packet: Packet, ip: IpLayer): void {
    const forwards = this.namespace.sysctl(ip.kind === "ipv4" ? "net/ipv4/ip_forward" : "net/ipv6/conf/all/forwarding");
    if (forwards !== "1" || device.kind === "loopback") {
      this.#counters.otherDrops += 1;
      return;
    }
    const ttl = ip.kind === "ipv4" ? ip.ttl : ip.hopLimit;
    const parsed = parsePacket(packet.frame);
    if (ttl <= 1) {
      this.#answerError(parsed, ip, "ttl");
      return;
    }
    const route = this.namespace.route(ip.destination);
    const out = route && this.namespace.device(route.interface);
    if (!route || !out) {
      this.#answerError(parsed, ip, "network");
      return;
    }
    this.#neighbours.send(out, route.gateway ?? ip.destination, { ...packet, frame: oneHopLess(packet.frame, ip) });
  }

  #answerError(packet: ParsedPacket, ip: IpLayer, problem: IcmpProblem): void {
    this.#counters.otherDrops += 1;
    const layers = errorLayers(packet, ip, problem);
    // icmp_send: who was meant answers under the name that was used.
    const own = this.namespace.isOwn(ip.destination) ? { source: ip.destination } : {};
    if (layers) this.send({ ...own, destination: ip.source, layers });
  }

  #tellUnreachable(packet: Packet): void {
    const parsed = parsePacket(packet.frame);
    const ip = parsed.layers.find(({ kind }) => kind === "ipv4" || kind === "ipv6");
    if (ip?.kind === "ipv4" || ip?.kind === "ipv6") this.#answerError(parsed, ip, "host");
  }

  // ---- send ----

  /** The address that a packet to the destination leaves with; null where there is no route. */
  sourceFor(destination: Address): Address | null {
    if (this.namespace.isOwn(destination)) return destination;
    const route = this.namespace.route(destination);
    if (!route) return null;
    if (route.source) return route.source;
    const own = this.namespace.addressesOf(route.interface, destination.family)[0];
    return own ?? this.#anyAddress(destination.family);
  }

  #anyAddress(family: 4 | 6): Address | null {
    const all = this.namespace.addresses().filter(({ index }) => this.namespace.device(index)?.kind !== "loopback");
    return all.find(({ prefix }) => prefix.address.family === family)?.prefix.address ?? null;
  }

  /** Sends the layers in a packet of their own. Null where it is on its way; else why not. */
  send(options: {
    readonly source?: Address;
    readonly destination: Address;
    readonly layers: readonly LayerSpec[];
    /** The socket that sends. */
    readonly sock?: Sock | null;
    /** Default 64. */
    readonly ttl?: number;
    readonly tos?: number;
    readonly marks?: Packet["marks"];
    readonly hops?: number;
  }): "ENETUNREACH" | "EPERM" | null {
    const { destination, layers, sock = null, ttl = DEFAULT_TTL, tos = 0 } = options;
    const source = options.source ?? this.sourceFor(destination);
    if (!source) return "ENETUNREACH";
    const ip: LayerSpec =
      destination.family === 4
        ? { kind: "ipv4", source, destination, ttl, dscp: tos >>> 2, ecn: tos & 3, dontFragment: true }
        : { kind: "ipv6", source, destination, hopLimit: ttl, trafficClass: tos };
    const nobody: Mac = new Uint8Array(6);
    const frame = buildPacket([{ kind: "ethernet", source: nobody, destination: nobody }, ip, ...layers]);
    const made = packetOf(frame, sock);
    const packet = { ...made, marks: options.marks ?? made.marks, hops: options.hops ?? 0 };
    const isOwn = this.namespace.isOwn(destination);
    const route = isOwn ? null : this.namespace.route(destination);
    const out = isOwn ? this.namespace.deviceByName("lo") : route && this.namespace.device(route.interface);
    if (!out) return "ENETUNREACH";
    if (sock && !runCgroupSkb(sock, { direction: "egress", frame, device: out })) return "EPERM";
    if (isOwn) this.namespace.network.transmit(out, packet);
    else this.#neighbours.send(out, route?.gateway ?? destination, packet);
    return null;
  }

  /** bpf_redirect_neigh: the stack finds the next hop's Ethernet address. `struct bpf_redir_neigh`: family, then 16 bytes. */
  sendVia(device: Device, packet: Packet, neighbour?: Uint8Array): void {
    const parsed = parsePacket(packet.frame);
    const ip = parsed.layers.find(({ kind }) => kind === "ipv4" || kind === "ipv6");
    if (ip?.kind !== "ipv4" && ip?.kind !== "ipv6") {
      this.#counters.otherDrops += 1;
      return;
    }
    const route = this.namespace.route(ip.destination);
    const given: Address | null = neighbour ? addressIn(neighbour) : null;
    this.#neighbours.send(device, given ?? route?.gateway ?? ip.destination, packet);
  }

  /** MTU of the way to the destination. */
  mtuTo(destination: Address): number {
    const route = this.namespace.route(destination);
    return route?.mtu ?? (route && this.namespace.device(route.interface)?.mtu) ?? 1500;
  }

  /** An echo request; resolves with the round trip in milliseconds of virtual time, null where no answer came. */
  ping(destination: Address, options: { readonly timeout?: number } = {}): Promise<number | null> {
    const { clock, random } = this.namespace.network.simulation;
    const rest = random.next();
    const started = clock.monotonic();
    const kind = destination.family === 4 ? "icmp" : "icmpv6";
    const type = destination.family === 4 ? 8 : 128;
    const key = `${formatAddress(destination)} ${rest}`;
    return new Promise((resolve) => {
      const finish = (answer: number | null): void => {
        this.#echoes.delete(key);
        cancel();
        resolve(answer);
      };
      const cancel = clock.after(options.timeout ?? 1000, () => finish(null));
      this.#echoes.set(key, () => finish(Number(clock.monotonic() - started) / 1_000_000));
      if (this.send({ destination, layers: [{ kind, type, rest }] }) !== null) finish(null);
    });
  }
}

function addressIn(neighbour: Uint8Array): Address {
  const family = new DataView(neighbour.buffer, neighbour.byteOffset).getUint32(0, true) === 10 ? 6 : 4;
  return { family, bytes: neighbour.slice(4, family === 4 ? 8 : 20) };
}

/** A copy with a TTL one less, and IPv4's checksum mended. */
function oneHopLess(frame: Uint8Array, ip: IpLayer): Uint8Array {
  const copy = frame.slice();
  const view = new DataView(copy.buffer);
  if (ip.kind === "ipv6") {
    copy[ETHERNET + 7] = ip.hopLimit - 1;
    return copy;
  }
  const before = view.getUint16(ETHERNET + 8);
  view.setUint16(ETHERNET + 8, before - 0x100);
  view.setUint16(ETHERNET + 10, updateChecksum16(ip.checksum, before, before - 0x100));
  return copy;
}
