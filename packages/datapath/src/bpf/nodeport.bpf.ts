// Services from outside of the node (node ports, external addresses, load balancers): what tc and XDP have in common.
import { config, u16, u32, u8, type PacketContext } from "@skep/bpf";
import { replaceWord } from "@skep/bpf/checksum";
import { Ethernet, Ipv4, Ipv6 } from "@skep/bpf/net";
import { backendOfOpen, choosePerPacket, isBalanced, isInRange, TRANSLATED } from "./balance.bpf.ts";
import { CT_DIRECT, CT_SERVICE } from "./connection-map.bpf.ts";
import { findAny, openService, touchService } from "./connection.bpf.ts";
import { devices, nextHops, type NextHop } from "./device.bpf.ts";
import { ServiceKey, type Address, type Backend, type Connection, type Frontend } from "./maps.bpf.ts";
import { frontends } from "./maps.bpf.ts";
import type { Translation } from "./nat.bpf.ts";
import { DROP, sameAddress, STATE_REPLY, type Packet } from "./packet.bpf.ts";
import { backendOf, lookupAny, SERVICE } from "./services.bpf.ts";

/** Cluster addresses are served to the outside too (bpf-lb-external-clusterip). */
export const externalClusterIp = config("lb_external_clusterip", u8, 0);

/** On packets that have their final source already (Cilium's MARK_MAGIC_SNAT_DONE). */
export const MARK_TRANSLATED = 0x0300;
export const MARK_MASK = 0x0f00;

/**
 * Whether the packet is for a service: TRANSLATED (`packet.service` and `packet.backend` say which, and the flow is remembered), 0 where it is
 * for none, or a drop code.
 */
export function serve(packet: Packet, now: u32): u32 {
  return serveFlow(packet, now, null);
}

/** Whom a flow's client has got: what is known beside its connection's entry. */
export interface Served {
  readonly service: u32;
  readonly backend: u32;
  readonly backendGeneration: u32;
}

function isThere(packet: Packet, served: Served): boolean {
  const frontend = frontends.get(served.service);
  const backend = backendOf(served.backend);
  if (!frontend || !backend || backend.generation !== served.backendGeneration) return false;
  return frontend.port === packet.destinationPort && sameAddress(frontend.address, packet.destination);
}

/** As `serve`; `served`: of a flow whose connection's entry may have been evicted. */
export function serveFlow(packet: Packet, now: u32, served: Served | null): u32 {
  const connection = findAny(packet, now);
  if (connection) {
    if ((connection.flags & CT_SERVICE) === 0) return 0;
    const known = backendOfOpen(packet, connection);
    if (known) {
      packet.service = connection.service;
      packet.backend = connection.backend;
      packet.direct = (connection.flags & CT_DIRECT) !== 0 ? 1 : 0;
      if (packet.related === 0) touchService(packet, connection, now);
      return TRANSLATED;
    }
  }
  if (packet.related !== 0 || !isBalanced(packet)) return 0;
  const key = ServiceKey.zero();
  key.address = packet.destination;
  key.port = packet.destinationPort;
  key.protocol = packet.protocol;
  const service = lookupAny(key, false);
  if (!service || (service.flags & SERVICE.L7) !== 0) return 0;
  if ((service.flags & SERVICE.ROUTABLE) === 0 && externalClusterIp.value === 0) return DROP.IS_CLUSTER_IP;
  if (!isInRange(service, packet.source)) return DROP.LB_SOURCE_RANGE;
  const id = served && isThere(packet, served) ? served.backend : choosePerPacket(packet, service, key);
  const backend = id === 0 ? null : backendOf(id);
  if (!backend) return DROP.SERVICE_BACKEND_NOT_FOUND;
  packet.service = service.id;
  packet.backend = id;
  packet.direct = (service.flags & SERVICE.DSR) !== 0 ? 1 : 0;
  const full = openService(packet, backend.generation, now);
  return full !== 0 ? full : TRANSLATED;
}

/** The packet is one to the backend now. What an ICMP error quotes was sent by it. */
export function toBackend(packet: Packet, backend: Backend): void {
  if (packet.related === 0) return;
  packet.innerSource = backend.address;
  packet.innerSourcePort = backend.port;
}

/** The frontend that an answer comes from: null where it is no answer to what a service was asked. */
export function askedFrontend(packet: Packet, connection: Connection | null): Frontend | null {
  if (!connection || connection.service === 0 || (packet.state & STATE_REPLY) === 0) return null;
  const frontend = frontends.get(connection.service);
  return frontend && frontend.port !== 0 ? frontend : null;
}

/** The node's address at the interface, in the packet's family: false where it has none. */
export function nodeAddress(packet: Packet, ifindex: u32, to: Translation): boolean {
  const device = devices.get(ifindex);
  if (!device) return false;
  if (packet.isIpv6 !== 0) to.address = device.address6;
  else to.address = device.address;
  return (to.address.w0 | to.address.w1 | to.address.w2 | to.address.w3) !== 0;
}

function addressAt(remote: Address, ifindex: u32, to: Translation): boolean {
  const device = devices.get(ifindex);
  if (!device) return false;
  if (remote.w0 === 0 && remote.w1 === 0 && remote.w2 === 0xffff) to.address = device.address;
  else to.address = device.address6;
  return (to.address.w0 | to.address.w1 | to.address.w2 | to.address.w3) !== 0;
}

/** The node's address for a tunnel to the other one: at the interface that leads there, else at the one where the packet came in. */
export function outerAddress(remote: Address, next: NextHop | null, ifindex: u32, to: Translation): boolean {
  if (next && addressAt(remote, next.ifindex, to)) return true;
  return addressAt(remote, ifindex, to);
}

/** Where packets to the address go next; null where only the host's routes say. */
export function nextHop(address: Address): NextHop | null {
  return nextHops.get({ prefixLength: 128, address });
}

/** One hop less. 0 or a drop code. */
export function hop(ctx: PacketContext, packet: Packet): u32 {
  if (packet.isIpv6 !== 0) {
    const ip = ctx.header(Ipv6, Ethernet.size);
    if (!ip) return DROP.INVALID_PACKET;
    if (ip.hopLimit <= 1) return DROP.TTL_EXCEEDED;
    ip.hopLimit -= 1;
    return 0;
  }
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ip) return DROP.INVALID_PACKET;
  if (ip.ttl <= 1) return DROP.TTL_EXCEEDED;
  const before: u16 = (u16(ip.ttl) << 8) | ip.protocol;
  ip.ttl -= 1;
  ip.checksum = replaceWord(ip.checksum, before, before - 0x0100);
  return 0;
}
