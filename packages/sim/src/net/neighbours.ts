/**
 * @module
 * Ethernet addresses of next hops: those that were given, and those that ARP (RFC 826) and neighbour discovery (RFC 4861) find.
 */
import {
  type Address,
  addressOf,
  buildPacket,
  formatAddress,
  type Mac,
  multicastMac,
  neighborLayers,
  neighborMessage,
  type ParsedPacket,
  solicitedNodeAddress,
} from "@skep/net";
import type { Device } from "./device.ts";
import type { SimNamespace } from "./namespace.ts";
import { packetOf, type Packet } from "./packet.ts";

const REQUEST = 1;
const REPLY = 2;
const BROADCAST: Mac = new Uint8Array(6).fill(0xff);
/** mcast_solicit and retrans_time_ms. */
const TRIES = 3;
const RETRY_MS = 1000;
/** unres_qlen */
const QUEUE = 64;

interface Waiting {
  readonly packets: Packet[];
  tries: number;
  cancel: () => void;
}

export class NeighbourTable {
  readonly #namespace: SimNamespace;
  readonly #onFailure: (packet: Packet) => void;
  readonly #waiting = new Map<string, Waiting>();

  /** `onFailure`: a packet whose next hop did not answer. */
  constructor(namespace: SimNamespace, onFailure: (packet: Packet) => void) {
    this.#namespace = namespace;
    this.#onFailure = onFailure;
  }

  /** Puts the next hop's address into the frame and sends it, as soon as the address is known. */
  send(device: Device, next: Address, packet: Packet): void {
    const mac = this.#macOf(device, next);
    if (mac) {
      this.#namespace.network.transmit(device, { ...packet, frame: addressed(packet.frame, mac, device.mac) });
      return;
    }
    const key = `${device.index} ${formatAddress(next)}`;
    const known = this.#waiting.get(key);
    if (known) {
      if (known.packets.length < QUEUE) known.packets.push(packet);
      return;
    }
    const waiting: Waiting = { packets: [packet], tries: 0, cancel: () => undefined };
    this.#waiting.set(key, waiting);
    this.#ask(device, next, waiting);
  }

  #macOf(device: Device, next: Address): Mac | null {
    const { bytes, family } = next;
    const isGroup = family === 4 ? ((bytes[0] ?? 0) & 0xf0) === 0xe0 : bytes[0] === 0xff;
    return isGroup ? multicastMac(next) : this.#namespace.neighbour(device.index, next);
  }

  #ask(device: Device, next: Address, waiting: Waiting): void {
    const key = `${device.index} ${formatAddress(next)}`;
    if (waiting.tries >= TRIES) {
      this.#waiting.delete(key);
      for (const packet of waiting.packets) this.#onFailure(packet);
      return;
    }
    waiting.tries += 1;
    this.#request(device, next);
    waiting.cancel = this.#namespace.network.simulation.clock.after(RETRY_MS, () => this.#ask(device, next, waiting));
  }

  #request(device: Device, target: Address): void {
    const source = this.#namespace.addressesOf(device.index, target.family)[0] ?? this.#anyOf(target.family);
    if (target.family === 4) {
      const arp = {
        ...{ kind: "arp" as const, operation: REQUEST, senderMac: device.mac },
        ...{ senderAddress: source, targetMac: new Uint8Array(6), targetAddress: target },
      };
      this.#transmit(device, BROADCAST, [arp]);
      return;
    }
    const destination = solicitedNodeAddress(target);
    const message = { target, mac: device.mac, router: false, solicited: false, override: false };
    this.#transmit(device, multicastMac(destination), [
      { kind: "ipv6", source, destination, hopLimit: 255 },
      ...neighborLayers({ kind: "solicitation", ...message }),
    ]);
  }

  #anyOf(family: 4 | 6): Address {
    const found = this.#namespace.addresses().find(({ index, prefix }) => {
      return prefix.address.family === family && this.#namespace.device(index)?.kind !== "loopback";
    });
    return found?.prefix.address ?? addressOf(new Uint8Array(family === 4 ? 4 : 16));
  }

  #transmit(device: Device, to: Mac, layers: Parameters<typeof buildPacket>[0]): void {
    const frame = buildPacket([{ kind: "ethernet", source: device.mac, destination: to }, ...layers]);
    this.#namespace.network.transmit(device, packetOf(frame));
  }

  /** Answers and learns; true where the packet was about neighbours and nothing else. */
  receive(device: Device, packet: ParsedPacket): boolean {
    // What a tunnel carries inside is not said to this interface.
    if (packet.layers.some(({ kind }) => kind === "udp")) return false;
    const arp = packet.layers.find((layer) => layer.kind === "arp");
    if (arp) {
      const { operation, senderAddress, senderMac, targetAddress } = arp;
      this.#learn(device, senderAddress, senderMac, operation === REQUEST && this.#namespace.isOwn(targetAddress));
      if (operation === REQUEST && this.#namespace.isOwn(targetAddress)) {
        const answer = { senderMac: device.mac, senderAddress: targetAddress };
        const reply = { kind: "arp" as const, operation: REPLY, ...answer, targetMac: senderMac };
        this.#transmit(device, senderMac, [{ ...reply, targetAddress: senderAddress }]);
      }
      return true;
    }
    const message = neighborMessage(packet);
    if (!message) return false;
    const ip = packet.layers.find((layer) => layer.kind === "ipv6");
    // RFC 4861 section 7.1: what has been forwarded is no neighbour's.
    if (!ip || ip.hopLimit !== 255) return true;
    if (message.kind === "advertisement") {
      if (message.mac) this.#learn(device, message.target, message.mac);
      return true;
    }
    if (message.mac) this.#learn(device, ip.source, message.mac, this.#namespace.isOwn(message.target));
    if (message.mac && this.#namespace.isOwn(message.target)) {
      const facts = { target: message.target, mac: device.mac, router: false, solicited: true, override: true };
      this.#transmit(device, message.mac, [
        { kind: "ipv6", source: message.target, destination: ip.source, hopLimit: 255 },
        ...neighborLayers({ kind: "advertisement", ...facts }),
      ]);
    }
    return true;
  }

  /** `isForUs`: who asks about us is answered soon (net/ipv4/arp.c: arp_process; net/ipv6/ndisc.c: ndisc_recv_ns). */
  #learn(device: Device, address: Address, mac: Mac, isForUs = false): void {
    const key = `${device.index} ${formatAddress(address)}`;
    const waiting = this.#waiting.get(key);
    // What nobody asked about and nobody knows is not taken in.
    if (!isForUs && !waiting && !this.#namespace.neighbour(device.index, address)) return;
    if (address.bytes.some((byte) => byte !== 0)) this.#namespace.addNeighbour(device.index, address, mac);
    if (!waiting) return;
    this.#waiting.delete(key);
    waiting.cancel();
    for (const packet of waiting.packets) this.send(device, address, packet);
  }
}

function addressed(frame: Uint8Array, destination: Mac, source: Mac): Uint8Array {
  const copy = frame.slice();
  copy.set(destination, 0);
  copy.set(source, 6);
  return copy;
}
