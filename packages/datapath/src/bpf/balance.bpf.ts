// Services packet by packet, at tc: what sockets have not translated, and the answers to it.
import { config, struct, u16, u32, type Of, type TcContext } from "@skep/bpf";
import { jhashWords } from "@skep/bpf/hash";
import { PROTOCOL } from "@skep/bpf/net";
import { CT_DIRECT, CT_LOOPBACK, CT_SERVICE } from "./connection-map.bpf.ts";
import { isOtherFamily } from "./families.bpf.ts";
import { openService, touchService } from "./connection.bpf.ts";
import {
  Address,
  backends,
  frontends,
  loadBalancerState,
  ServiceKey,
  SkipKey,
  skips,
  sourceRanges,
  type Backend,
  type Connection,
  type Service,
} from "./maps.bpf.ts";
import { askedOf, Translation } from "./nat.bpf.ts";
import { DROP, sameAddress, STATE_REPLY, type Packet } from "./packet.bpf.ts";
import { rewriteDestination, rewriteQuotedDestination, rewriteSource } from "./rewrite.bpf.ts";
import { affinityKey, backendOf, choose, draw, keep, keptBackend, lookupAny, SERVICE } from "./services.bpf.ts";

/** Below every drop code: the packet is another one now. */
export const TRANSLATED = 1;

/** Starts the hash that chooses a backend: the same on all nodes, so that they choose the same. */
export const maglevSeed = config("maglev_seed", u32, 0);

/** What a workload's own address becomes where it reaches itself through a service: it would not answer itself otherwise. */
export const loopback4 = config("lb_loopback4", u32, 0xa9fe2a01);
const Ipv6Loopback = { w0: 0xfe800000, w1: 0, w2: 0, w3: 1 } as const;

/** Rises with every change of services. */
export function servicesGeneration(): u32 {
  const state = loadBalancerState.get(0);
  return state ? state.generation : 0;
}

/** Of the client's end: every node hashes a flow in the same way. */
export function flowHash(packet: Packet): u32 {
  const { source } = packet;
  const ports: u32 = (u32(packet.sourcePort) << 16) | u32(packet.destinationPort);
  if (packet.isIpv6 === 0) return jhashWords([source.w3, ports, packet.protocol], maglevSeed.value);
  return jhashWords([source.w0, source.w1, source.w2, source.w3, ports, packet.protocol], maglevSeed.value);
}

export function isBalanced(packet: Packet): boolean {
  const protocol = packet.protocol;
  return protocol === PROTOCOL.TCP || protocol === PROTOCOL.UDP || protocol === PROTOCOL.SCTP;
}

/** Whether the client may use the service (loadBalancerSourceRanges). */
export function isInRange(service: Service, client: Address): boolean {
  if ((service.flags & SERVICE.SOURCE_RANGE) === 0) return true;
  const found = sourceRanges.ref({ prefixLength: 160, service: service.id, address: client });
  return (service.flags & SERVICE.SOURCE_RANGE_DENY) !== 0 ? found === null : found !== null;
}

/** The number of the backend for a client that has none yet; 0: there is none. */
export function choosePerPacket(packet: Packet, service: Service, key: ServiceKey): u32 {
  const hash = flowHash(packet);
  if ((service.flags & SERVICE.AFFINITY) === 0) return choose(service, key, hash, draw());
  const client = affinityKey(service, packet.source, false);
  const kept = keptBackend(service, client);
  if (kept !== 0) return kept;
  const fresh = choose(service, key, hash, draw());
  if (fresh !== 0) keep(client, fresh);
  return fresh;
}

/** The backend that an open connection to a service has, while both are there; else null. */
export function backendOfOpen(packet: Packet, connection: Connection): Backend | null {
  const frontend = frontends.get(connection.service);
  const backend = backends.get(connection.backend);
  if (!frontend || !backend || backend.present === 0 || backend.generation !== connection.generation) return null;
  const asked = packet.related === 0 ? packet.destinationPort : packet.innerSourcePort;
  return frontend.port === asked && sameAddress(frontend.address, packet.destination) ? backend : null;
}

function isSkipped(packet: Packet): boolean {
  const key = SkipKey.zero();
  key.source = packet.source;
  key.address = packet.destination;
  key.port = packet.destinationPort;
  return skips.ref(key) !== null;
}

/** What an ICMP error quotes is what the workload has sent: it becomes what has left. */
function translateError(ctx: TcContext, packet: Packet, backend: Backend): u32 {
  const to = Translation.zero();
  to.address = backend.address;
  to.port = backend.port;
  const refused = rewriteDestination(ctx, packet, to);
  if (refused !== 0) return refused;
  packet.innerSource = backend.address;
  packet.innerSourcePort = backend.port;
  return TRANSLATED;
}

/** The destination becomes the backend's; of a workload that has itself for a backend the source changes too. */
function translate(ctx: TcContext, packet: Packet, backend: Backend): u32 {
  if (isOtherFamily(packet, backend.address)) return DROP.NAT_46X64_DISABLED;
  const to = Translation.zero();
  const isItself = sameAddress(backend.address, packet.source);
  to.address = backend.address;
  to.port = backend.port;
  const refused = rewriteDestination(ctx, packet, to);
  if (refused !== 0) return refused;
  packet.policyPort = packet.destinationPort;
  packet.state = 0;
  if (!isItself) return TRANSLATED;
  packet.loopback = 1;
  if (packet.isIpv6 !== 0) to.address = Ipv6Loopback;
  else to.address = { w0: 0, w1: 0, w2: 0xffff, w3: loopback4.value };
  to.port = packet.sourcePort;
  const wrong = rewriteSource(ctx, packet, to);
  return wrong !== 0 ? wrong : TRANSLATED;
}

/**
 * A workload's packet to a service becomes one to its backend. `connection` is what was found for the packet as it came; one that is no service's
 * remembers so until the services change. 0 where nothing is done, TRANSLATED, or a drop code.
 */
export function balance(ctx: TcContext, packet: Packet, connection: Connection | null, now: u32): u32 {
  const services = servicesGeneration();
  if (connection) {
    if ((connection.flags & CT_SERVICE) !== 0) {
      const backend = backendOfOpen(packet, connection);
      if (backend) {
        packet.service = connection.service;
        packet.backend = connection.backend;
        if (packet.related !== 0) return translateError(ctx, packet, backend);
        touchService(packet, connection, now);
        return translate(ctx, packet, backend);
      }
    } else {
      if ((packet.state & STATE_REPLY) !== 0 || packet.related !== 0) return 0;
      if (connection.service !== 0 || connection.generation === services) return 0;
    }
  }
  if (packet.related !== 0 || !isBalanced(packet)) return 0;
  const key = ServiceKey.zero();
  key.address = packet.destination;
  key.port = packet.destinationPort;
  key.protocol = packet.protocol;
  const service = lookupAny(key, true);
  if (!service || isOthers(packet, service)) {
    if (connection && (connection.flags & CT_SERVICE) === 0) connection.generation = services;
    return 0;
  }
  if (!isInRange(service, packet.source)) return DROP.LB_SOURCE_RANGE;
  const id = choosePerPacket(packet, service, key);
  const backend = id === 0 ? null : backendOf(id);
  if (!backend) return DROP.SERVICE_BACKEND_NOT_FOUND;
  packet.service = service.id;
  packet.backend = id;
  const full = openService(packet, backend.generation, now);
  if (full !== 0) return full;
  return translate(ctx, packet, backend);
}

/** What another layer answers, or this workload is not to be redirected from. */
function isOthers(packet: Packet, service: Service): boolean {
  if ((service.flags & SERVICE.L7) !== 0) return true;
  return (service.flags & SERVICE.LOCAL_REDIRECT) !== 0 && isSkipped(packet);
}

/** The packet is an answer in a connection to a workload itself. */
export function isLoopbackReply(packet: Packet, connection: Connection | null): boolean {
  return connection !== null && (connection.flags & CT_LOOPBACK) !== 0 && (packet.state & STATE_REPLY) !== 0;
}

/** An answer of a backend becomes the service's. 0 or a drop code: 161 where the service is of the other family. */
export function restore(ctx: TcContext, packet: Packet, connection: Connection | null): u32 {
  if (!connection || (packet.state & STATE_REPLY) === 0) return 0;
  const to = Translation.zero();
  if (connection.service === 0) {
    if ((connection.flags & CT_DIRECT) === 0) return 0;
    // Another node has sent the client here.
    if (!askedOf(packet, to, connection.expires)) return DROP.NO_NAT_MAPPING;
  } else {
    const frontend = frontends.get(connection.service);
    if (frontend && isOtherFamily(packet, frontend.address)) return DROP.NAT_46X64_DISABLED;
    // Its service is gone: nobody waits for the answer.
    if (!frontend || frontend.port === 0) return 0;
    if ((connection.flags & CT_LOOPBACK) !== 0) {
      to.address = packet.source;
      to.port = packet.destinationPort;
      const refused = rewriteDestination(ctx, packet, to);
      if (refused !== 0) return refused;
    }
    to.address = frontend.address;
    to.port = frontend.port;
  }
  // A router's word about the backend stays the router's.
  if (packet.related !== 0 && !sameAddress(packet.source, packet.innerDestination))
    return rewriteQuotedDestination(ctx, packet, to);
  return rewriteSource(ctx, packet, to);
}
