// Between nodes: a packet goes into a tunnel with its sender's identity as the network's number (RFC 7348), so that the other end need not know
// the sender's address.
import {
  config,
  skbGetTunnelKey,
  skbSetTunnelKey,
  struct,
  tc,
  TC,
  u16,
  u32,
  u8,
  union,
  type Of,
  type TcContext,
} from "@skep/bpf";
import { Ethernet, Ipv4 } from "@skep/bpf/net";
import { restore } from "./balance.bpf.ts";
import { LIMITED_INGRESS, police } from "./bandwidth.bpf.ts";
import { find } from "./connection.bpf.ts";
import { isOtherFamily } from "./families.bpf.ts";
import { clock } from "./lifetimes.bpf.ts";
import { devices } from "./device.bpf.ts";
import { lengthOf } from "./direct.bpf.ts";
import { decrementTtl, deliver, drop, trace, traceArrival, track } from "./deliver.bpf.ts";
import { count, FROM_OVERLAY, TO_ENDPOINT } from "./events.bpf.ts";
import { Address, CALL_NAT_46X64_REPLY, CALL_NODEPORT_REPLY, calls, endpointsByAddress, ipcache } from "./maps.bpf.ts";
import { mapBack, mapOut, natFirstPort, Translation } from "./nat.bpf.ts";
import { DROP, ETHERTYPE_ARP, freshPacket, isZero, type Packet, parse, sameAddress } from "./packet.bpf.ts";
import {
  admit,
  DIRECTION_EGRESS,
  DIRECTION_INGRESS,
  IDENTITY_HOST,
  IDENTITY_REMOTE_NODE,
  IDENTITY_WORLD,
  identityOf,
  isWorld,
  type Question,
} from "./policy.bpf.ts";
import { rewriteDestination, rewriteSource } from "./rewrite.bpf.ts";

/** The device that all tunnels share; 0: none. */
export const overlayInterface = config("overlay_interface", u32, 0);
/** Of UDP, where tunnels end; 0: there are none. */
export const overlayPort = config("overlay_port", u16, 0);

/** Of packets that go into tunnels, behind Ethernet's header; 0: not known. */
export const overlayMtu = config("overlay_mtu", u32, 0);

/** struct bpf_tunnel_key: an IPv4 address is a number, an IPv6 one is bytes. */
const Remote = union("Remote", { ipv4: u32, ipv6: Address });
const TunnelKey = struct("TunnelKey", {
  id: u32,
  remote: Remote,
  tos: u8,
  ttl: u8,
  ext: u16,
  label: u32,
  local: Remote,
});

/** BPF_F_TUNINFO_IPV6, BPF_F_ZERO_CSUM_TX */
const IPV6 = 1n;
const NO_CHECKSUM = 2n;
const MAPPED = 0xffff;
const TTL = 64;
const DO_NOT_FRAGMENT = 0x4000;

/** The tunnel devices' own address, the same on all nodes, and the one that frames in tunnels come from. */
const OWN = 0x01;
const SENDER = 0x02;

/** The node behind which the address is; null where it is behind none. */
export function tunnelOf(address: Address): Address | null {
  const entry = ipcache.get({ prefixLength: 128, address });
  if (!entry || isZero(entry.tunnel)) return null;
  return entry.tunnel;
}

function setMacs(ethernet: Of<typeof Ethernet>): void {
  ethernet.destination = [0x0e, 0x53, 0x4b, 0x45, 0x50, OWN];
  ethernet.source = [0x0e, 0x53, 0x4b, 0x45, 0x50, SENDER];
}

/** Whether a workload's packet does not fit, and may not be cut on the way: IPv6 never is (RFC 8200, 5). */
export function isTooLong(ctx: TcContext, packet: Packet): boolean {
  if (overlayMtu.value === 0 || lengthOf(ctx, packet) <= overlayMtu.value) return false;
  if (packet.isIpv6 !== 0) return true;
  const ip = ctx.header(Ipv4, Ethernet.size);
  return ip !== null && (ip.fragment & DO_NOT_FRAGMENT) !== 0;
}

/** Says where the frame goes when it leaves by the overlay's device. 0 or a drop code. */
export function intoTunnel(ctx: TcContext, remote: Address, identity: u32): u32 {
  const ethernet = ctx.header(Ethernet, 0);
  if (!ethernet) return DROP.INVALID_PACKET;
  setMacs(ethernet);
  const key = TunnelKey.zero();
  key.id = identity;
  key.ttl = TTL;
  const isIpv4 = remote.w0 === 0 && remote.w1 === 0 && remote.w2 === MAPPED;
  if (isIpv4) key.remote.ipv4 = remote.w3;
  else key.remote.ipv6 = remote;
  return skbSetTunnelKey(ctx, key, isIpv4 ? NO_CHECKSUM : IPV6) < 0n ? DROP.TUNNEL_KEY : 0;
}

/** The host's own connections step aside for a port that a client of its services has. 0 or a drop code. */
function giveWay(ctx: TcContext, packet: Packet): u32 {
  const device = devices.get(overlayInterface.value);
  if (!device || packet.related !== 0 || packet.sourcePort < natFirstPort.value) return 0;
  const to = Translation.zero();
  if (packet.isIpv6 !== 0) to.address = device.address6;
  else to.address = device.address;
  if (!sameAddress(packet.source, to.address)) return 0;
  // What is no connection, and what finds no room, keeps its port.
  if (mapOut(packet, to, clock()) !== 0 || to.port === packet.sourcePort) return 0;
  return rewriteSource(ctx, packet, to);
}

/** What the host's own stack sends to other nodes' workloads: ingress of nothing, egress of the overlay's device. */
export const toOverlay = tc("skep_to_ovl", (ctx) => {
  const ethernet = ctx.header(Ethernet, 0);
  if (!ethernet) return TC.SHOT;
  // A workload's packet has its tunnel already.
  if (ethernet.source[5] === SENDER) return TC.OK;
  const packet = freshPacket();
  if (!packet) return TC.SHOT;
  if (ethernet.type === ETHERTYPE_ARP || parse(ctx, packet, ethernet.type) !== 0) return TC.SHOT;
  packet.sourceIdentity = identityOf(packet.source);
  // Numbers of prefixes are this node's own.
  if (isWorld(packet.sourceIdentity)) packet.sourceIdentity = IDENTITY_WORLD;
  const remote = tunnelOf(packet.destination);
  if (!remote) return drop(ctx, packet, DROP.NO_TUNNEL_ENDPOINT, DIRECTION_EGRESS, 0);
  const lost = intoTunnel(ctx, remote, packet.sourceIdentity);
  if (lost !== 0) return drop(ctx, packet, lost, DIRECTION_EGRESS, 0);
  const failed = giveWay(ctx, packet);
  if (failed !== 0) return drop(ctx, packet, failed, DIRECTION_EGRESS, 0);
  count(0, DIRECTION_EGRESS, ctx.length);
  return TC.OK;
});

/** What comes out of a tunnel: its sender is who the number says. */
export const fromOverlay = tc("skep_from_ovl", (ctx) => {
  const packet = freshPacket();
  const ethernet = ctx.header(Ethernet, 0);
  if (!packet || !ethernet) return TC.SHOT;
  const invalid = parse(ctx, packet, ethernet.type);
  if (invalid !== 0) return drop(ctx, packet, invalid, DIRECTION_INGRESS, 0);
  const key = TunnelKey.zero();
  if (skbGetTunnelKey(ctx, key, 0n) < 0n && skbGetTunnelKey(ctx, key, IPV6) < 0n)
    return drop(ctx, packet, DROP.TUNNEL_KEY, DIRECTION_INGRESS, 0);
  // Another node's host is not this one.
  packet.sourceIdentity = key.id === IDENTITY_HOST ? IDENTITY_REMOTE_NODE : key.id;
  traceArrival(ctx, packet, FROM_OVERLAY, DIRECTION_INGRESS, 0);
  if (key.id === 0) return drop(ctx, packet, DROP.INVALID_IDENTITY, DIRECTION_INGRESS, 0);
  if (key.id === IDENTITY_WORLD) {
    // Through another node: which part of the world it is, this one knows.
    const part = identityOf(packet.source);
    if (isWorld(part)) packet.sourceIdentity = part;
  }
  const target = endpointsByAddress.get(packet.destination);
  // The host itself, or what it passes on; and what answers its services' clients.
  if (!target) {
    const to = Translation.zero();
    if (mapBack(packet, to, clock()) !== 0) return TC.OK;
    if (sameAddress(to.address, packet.destination) && to.port === packet.destinationPort) return TC.OK;
    if (isOtherFamily(packet, to.address)) {
      calls.tailCall(ctx, CALL_NAT_46X64_REPLY);
      return drop(ctx, packet, DROP.MISSED_TAIL_CALL, DIRECTION_INGRESS, 0);
    }
    const failed = rewriteDestination(ctx, packet, to);
    if (failed !== 0) return drop(ctx, packet, failed, DIRECTION_INGRESS, 0);
    calls.tailCall(ctx, CALL_NODEPORT_REPLY);
    return drop(ctx, packet, DROP.MISSED_TAIL_CALL, DIRECTION_INGRESS, 0);
  }
  packet.destinationEndpoint = target.id;
  packet.destinationIdentity = target.identity;
  const length = ctx.length;
  const now = clock();
  const connection = find(packet, now);
  const own: Question = {
    endpoint: target.id,
    generation: target.generation,
    direction: DIRECTION_INGRESS,
    peer: packet.sourceIdentity,
  };
  const denied = admit(ctx, packet, connection, own);
  if (denied !== 0) return drop(ctx, packet, denied, DIRECTION_INGRESS, target.id);
  if ((target.flags & LIMITED_INGRESS) !== 0) {
    const excess = police(ctx, target.id, DIRECTION_INGRESS);
    if (excess !== 0) return drop(ctx, packet, excess, DIRECTION_INGRESS, target.id);
  }
  const expired = decrementTtl(ctx, packet);
  if (expired !== 0) return drop(ctx, packet, expired, DIRECTION_INGRESS, target.id);
  const full = track(packet, connection, 0, target.generation, now, length);
  if (full !== 0) return drop(ctx, packet, full, DIRECTION_INGRESS, target.id);
  trace(ctx, packet, TO_ENDPOINT, DIRECTION_INGRESS, target.id);
  const wrong = restore(ctx, packet, connection);
  return wrong === 0 ? deliver(ctx, target) : drop(ctx, packet, wrong, DIRECTION_INGRESS, target.id);
});
