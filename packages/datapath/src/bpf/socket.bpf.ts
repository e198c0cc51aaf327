// Services at the socket: what is sent to a service's address goes to a backend's before a packet exists.
import {
  atomicCompareExchange,
  cgroupConnect4,
  cgroupConnect6,
  cgroupGetpeername4,
  cgroupGetpeername6,
  cgroupPostBind4,
  cgroupPostBind6,
  cgroupRecvmsg4,
  cgroupRecvmsg6,
  cgroupSendmsg4,
  cgroupSendmsg6,
  cgroupSockRelease,
  config,
  getNetnsCookie,
  getSocketCookie,
  i32,
  setRetval,
  struct,
  u16,
  u32,
  u64,
  u8,
  type Ip6Words,
  type Of,
  type Ref,
  type SockAddrContext,
  type SockContext,
} from "@skep/bpf";
import { PROTOCOL } from "@skep/bpf/net";
import {
  ASKED_ROWS,
  askedByTcp,
  askedOwners,
  ASKER_WORDS,
  askers,
  reverse,
  ReverseEntry,
  ReverseKey,
  ServiceKey,
  SkipKey,
  skips,
  type Address,
  type Asked,
  type Backend,
  type Service,
} from "./maps.bpf.ts";
import { sameAddress } from "./packet.bpf.ts";
import { IDENTITY_HOST, identityOf } from "./policy.bpf.ts";
import { affinityKey, backendOf, choose, draw, keep, keptBackend, lookup, lookupAny, SERVICE } from "./services.bpf.ts";

const ALLOW = 1;
const REJECT = 0;

const ENOMEM = 12;
const EADDRINUSE = 98;
const EHOSTUNREACH = 113;

const IDENTITY_REMOTE_NODE = 6;
const IDENTITY_KUBE_APISERVER = 7;

/** SO_NETNS_COOKIE of the host's own namespace. */
export const hostNamespace = config("host_netns", u64, 0n);
/** The range in which NodePorts lie. */
export const nodePortFirst = config("nodeport_first", u16, 30_000);
export const nodePortLast = config("nodeport_last", u16, 32_767);

function mapped(ip4: u32): Address {
  return { w0: 0, w1: 0, w2: 0xffff, w3: ip4 };
}

function words(ip6: Ip6Words): Address {
  return { w0: ip6[0], w1: ip6[1], w2: ip6[2], w3: ip6[3] };
}

function isIpv4(address: Address): boolean {
  return address.w0 === 0 && address.w1 === 0 && address.w2 === 0xffff;
}

function isBalanced(protocol: u32): boolean {
  return protocol === PROTOCOL.TCP || protocol === PROTOCOL.UDP || protocol === PROTOCOL.SCTP;
}

/** 127.0.0.0/8, ::1. */
function isLoopback(address: Address): boolean {
  if (isIpv4(address)) return address.w3 >>> 24 === 127;
  return address.w0 === 0 && address.w1 === 0 && address.w2 === 0 && address.w3 === 1;
}

function isNodePort(port: u16): boolean {
  return port >= nodePortFirst.value && port <= nodePortLast.value;
}

/** A NodePort is served at every node's addresses: it has an entry of the address 0. */
function lookupNodePort(key: ServiceKey): Service | null {
  if (!isNodePort(key.port)) return null;
  const identity = identityOf(key.address);
  const isNode =
    identity === IDENTITY_HOST ||
    identity === IDENTITY_REMOTE_NODE ||
    identity === IDENTITY_KUBE_APISERVER ||
    isLoopback(key.address);
  if (!isNode) return null;
  key.address = isIpv4(key.address) ? mapped(0) : { w0: 0, w1: 0, w2: 0, w3: 0 };
  return lookup(key, true);
}

/** What belongs to another node's address is that node's to translate. */
function isElsewhere(service: Service, address: Address): boolean {
  if ((service.flags & (SERVICE.EXTERNAL_IP | SERVICE.HOST_PORT)) === 0) return false;
  if ((service.flags & SERVICE.HOST_PORT) !== 0 && isLoopback(address)) return false;
  return identityOf(address) !== IDENTITY_HOST;
}

/** The number of the backend for this socket: TCP draws one for each connection, UDP stays with one for each socket. */
function backendFor(ctx: SockAddrContext, service: Service, key: ServiceKey): u32 {
  const cookie = ctx.protocol === PROTOCOL.TCP ? draw() : u32(getSocketCookie(ctx));
  if ((service.flags & SERVICE.AFFINITY) === 0) return choose(service, key, cookie, cookie);
  const namespace = getNetnsCookie(ctx);
  const client = affinityKey(service, { w0: u32(namespace >> 32n), w1: u32(namespace), w2: 0, w3: 0 }, true);
  const kept = keptBackend(service, client);
  if (kept !== 0) return kept;
  const fresh = choose(service, key, cookie, cookie);
  if (fresh !== 0) keep(client, fresh);
  return fresh;
}

/** Why there is no backend: 0, or what the system call answers. */
const Refusal = struct("Refusal", { errno: i32 });
type Refusal = Of<typeof Refusal>;

/** A redirect that leaves some workloads alone: which one this is only its packets say. */
function isAskedByPacket(address: Address, port: u16): boolean {
  const key = SkipKey.zero();
  key.address = address;
  key.port = port;
  return skips.ref(key) !== null;
}

/** Looks the asked address up; what the socket is to be told of it later is remembered. */
function translate(ctx: SockAddrContext, asked: Address, port: u16, refusal: Refusal): Backend | null {
  if (!isBalanced(ctx.protocol)) return null;
  const key = ServiceKey.zero();
  key.address = asked;
  key.port = port;
  key.protocol = u8(ctx.protocol);
  const service = lookupForSocket(key);
  if (!service || isElsewhere(service, asked) || (service.flags & SERVICE.L7) !== 0) return null;
  if ((service.flags & SERVICE.LOCAL_REDIRECT) !== 0 && isAskedByPacket(asked, port)) return null;
  const id = backendFor(ctx, service, key);
  const backend = id === 0 ? null : backendOf(id);
  if (!backend) {
    refusal.errno = EHOSTUNREACH;
    return null;
  }
  // A socket cannot change its family.
  if (isIpv4(backend.address) !== isIpv4(asked)) return null;

  const answer = ReverseKey.zero();
  answer.cookie = getSocketCookie(ctx);
  answer.address = backend.address;
  answer.port = backend.port;
  const entry = ReverseEntry.zero();
  entry.address = asked;
  entry.port = port;
  entry.protocol = key.protocol;
  entry.service = service.id;
  entry.backend = id;
  entry.generation = backend.generation;
  if (!remember(answer, entry)) {
    refusal.errno = ENOMEM;
    return null;
  }
  return backend;
}

/** False where there is no room. */
function remember(answer: ReverseKey, entry: ReverseEntry): boolean {
  const row = entry.protocol === PROTOCOL.TCP ? takeRow(answer.cookie) : null;
  if (row) {
    row.key = answer;
    row.entry = entry;
    return true;
  }
  noteAsker(answer.cookie);
  return reverse.set(answer, entry) >= 0n;
}

// ---- rows of TCP sockets: the kernel lets one thread at a time connect a socket, ask for its peer or close it ----

function rowAt(cookie: u64): u32 {
  return u32(cookie) & (ASKED_ROWS - 1);
}

/** Null: it is another socket's. */
function takeRow(cookie: u64): Asked | null {
  const owner = askedOwners.get(rowAt(cookie));
  if (!owner) return null;
  const before = owner.cookie === 0n ? atomicCompareExchange(owner, "cookie", 0n, cookie) : owner.cookie;
  return before === 0n || before === cookie ? askedByTcp.get(rowAt(cookie)) : null;
}

function giveRowBack(cookie: u64): void {
  const owner = askedOwners.get(rowAt(cookie));
  if (owner && owner.cookie === cookie) owner.cookie = 0n;
}

/** What the socket has in its row, if that is of this backend. Nobody else writes its cookie. */
function ownEntry(key: ReverseKey): ReverseEntry | null {
  const row = askedByTcp.get(rowAt(key.cookie));
  if (!row || row.key.cookie !== key.cookie || row.key.port !== key.port) return null;
  return sameAddress(row.key.address, key.address) ? row.entry : null;
}

function lookupForSocket(key: ServiceKey): Service | null {
  const service = lookupAny(key, true);
  return service ? service : lookupNodePort(key);
}

function forward4(ctx: SockAddrContext): number {
  const refusal = Refusal.zero();
  const backend = translate(ctx, mapped(ctx.userIp4), ctx.userPort, refusal);
  if (backend) {
    ctx.userIp4 = backend.address.w3;
    ctx.userPort = backend.port;
    return ALLOW;
  }
  if (refusal.errno === 0) return ALLOW;
  setRetval(-refusal.errno);
  return REJECT;
}

function forward6(ctx: SockAddrContext): number {
  const refusal = Refusal.zero();
  const backend = translate(ctx, words(ctx.userIp6), ctx.userPort, refusal);
  if (backend) {
    ctx.userIp6[0] = backend.address.w0;
    ctx.userIp6[1] = backend.address.w1;
    ctx.userIp6[2] = backend.address.w2;
    ctx.userIp6[3] = backend.address.w3;
    ctx.userPort = backend.port;
    return ALLOW;
  }
  if (refusal.errno === 0) return ALLOW;
  setRetval(-refusal.errno);
  return REJECT;
}

export const connect4 = cgroupConnect4("skep_connect4", (ctx) => forward4(ctx));
export const connect6 = cgroupConnect6("skep_connect6", (ctx) => forward6(ctx));
export const sendmsg4 = cgroupSendmsg4("skep_sendmsg4", (ctx) => forward4(ctx));
export const sendmsg6 = cgroupSendmsg6("skep_sendmsg6", (ctx) => forward6(ctx));

/** What the socket asked for when it got this backend; null where it asked for the backend itself, or its service is gone. */
function asked(ctx: SockAddrContext, backend: Address): ReverseEntry | null {
  const key = ReverseKey.zero();
  key.cookie = getSocketCookie(ctx);
  key.address = backend;
  key.port = ctx.userPort;
  const own = ctx.protocol === PROTOCOL.TCP ? ownEntry(key) : null;
  const entry = own ? own : reverse.get(key);
  if (!entry) return null;
  const service = ServiceKey.zero();
  service.address = entry.address;
  service.port = entry.port;
  service.protocol = entry.protocol;
  const now = lookupForSocket(service);
  if (now && now.id === entry.service) return entry;
  // A row goes with its socket.
  if (!own) reverse.delete(key);
  return null;
}

function backward4(ctx: SockAddrContext): number {
  const entry = asked(ctx, mapped(ctx.userIp4));
  if (!entry) return ALLOW;
  ctx.userIp4 = entry.address.w3;
  ctx.userPort = entry.port;
  return ALLOW;
}

function backward6(ctx: SockAddrContext): number {
  const entry = asked(ctx, words(ctx.userIp6));
  if (!entry) return ALLOW;
  ctx.userIp6[0] = entry.address.w0;
  ctx.userIp6[1] = entry.address.w1;
  ctx.userIp6[2] = entry.address.w2;
  ctx.userIp6[3] = entry.address.w3;
  ctx.userPort = entry.port;
  return ALLOW;
}

export const recvmsg4 = cgroupRecvmsg4("skep_recvmsg4", (ctx) => backward4(ctx));
export const recvmsg6 = cgroupRecvmsg6("skep_recvmsg6", (ctx) => backward6(ctx));
export const getpeername4 = cgroupGetpeername4("skep_getpeer4", (ctx) => backward4(ctx));
export const getpeername6 = cgroupGetpeername6("skep_getpeer6", (ctx) => backward6(ctx));

const AF_INET6 = 10;

/** Where a socket's bit is: those that exist at the same time have each its own, but for very many. */
function bitsOf(cookie: u64): Ref<u64> | null {
  return askers.ref(u32(cookie >> 6n) & (ASKER_WORDS - 1));
}

function bitOf(cookie: u64): u64 {
  return 1n << (cookie & 63n);
}

/** A bit that another processor loses in the same moment leaves its row to the table. */
function noteAsker(cookie: u64): void {
  const bits = bitsOf(cookie);
  if (bits) bits.value |= bitOf(cookie);
}

/**
 * A socket that was connected through a service takes what it asked for with it: rows of those that live are not crowded out by those that are
 * gone. What a datagram socket without a peer has asked for stays until it is the oldest.
 */
export const release = cgroupSockRelease("skep_release", (ctx) => {
  const port = ctx.dstPort;
  const isTcp = ctx.protocol === PROTOCOL.TCP;
  // Who was refused has no peer, but a row.
  if (port === 0 && !isTcp) return ALLOW;
  const cookie = getSocketCookie(ctx);
  if (isTcp) giveRowBack(cookie);
  const bits = bitsOf(cookie);
  if (!bits || (bits.value & bitOf(cookie)) === 0n) return ALLOW;
  bits.value &= ~bitOf(cookie);
  const key = ReverseKey.zero();
  key.cookie = cookie;
  key.address = ctx.family === AF_INET6 ? words(ctx.dstIp6) : mapped(ctx.dstIp4);
  key.port = port;
  reverse.delete(key);
  return ALLOW;
});

const RESERVED = SERVICE.NODE_PORT | SERVICE.EXTERNAL_IP | SERVICE.LOAD_BALANCER;

/** A socket of the host's own at a service's port would take what is the service's. */
function isReserved(ctx: SockContext, address: Address): boolean {
  const key = ServiceKey.zero();
  key.address = address;
  key.port = u16(ctx.srcPort);
  key.protocol = u8(ctx.protocol);
  const exact = lookup(key, false);
  if (exact && (exact.flags & RESERVED) !== 0) return true;
  if (!isNodePort(key.port)) return false;
  key.address = isIpv4(address) ? mapped(0) : { w0: 0, w1: 0, w2: 0, w3: 0 };
  const everywhere = lookup(key, false);
  return everywhere !== null && (everywhere.flags & RESERVED) !== 0;
}

function isHost(ctx: SockContext): boolean {
  return isBalanced(ctx.protocol) && getNetnsCookie(ctx) === hostNamespace.value;
}

function inUse(): number {
  setRetval(-EADDRINUSE);
  return REJECT;
}

export const postBind4 = cgroupPostBind4("skep_bind4", (ctx) =>
  isHost(ctx) && isReserved(ctx, mapped(ctx.srcIp4)) ? inUse() : ALLOW,
);

export const postBind6 = cgroupPostBind6("skep_bind6", (ctx) => {
  if (!isHost(ctx)) return ALLOW;
  const address = words(ctx.srcIp6);
  if (isReserved(ctx, address)) return inUse();
  // A socket of any address hears both families.
  const isAny = address.w0 === 0 && address.w1 === 0 && address.w2 === 0 && address.w3 === 0;
  return isAny && isReserved(ctx, mapped(0)) ? inUse() : ALLOW;
});
