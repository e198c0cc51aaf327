// Sockets of two workloads of this node, each given directly what the other sends. An object of its own: loaded where it is asked for.
import {
  getNetnsCookie,
  hash,
  msgRedirectHash,
  percpuArray,
  SK,
  skMsg,
  skStorage,
  sockHash,
  sockHashUpdate,
  sockOps,
  struct,
  u16,
  u32,
  u64,
  u8,
  type Ip6Words,
  type Of,
} from "@skep/bpf";
import { PROTOCOL } from "@skep/bpf/net";
import { LIMITED_EGRESS, LIMITED_INGRESS } from "./bandwidth.bpf.ts";
import {
  CT_DIRECT,
  CT_FIN,
  CT_FIN_REPLY,
  CT_LOOPBACK,
  CT_OPENED_BY_SECOND,
  CT_RST,
  CT_SERVICE,
} from "./connection-map.bpf.ts";
import { order } from "./connection.bpf.ts";
import { clock, lifetimeTcp } from "./lifetimes.bpf.ts";
import { Address, ConnectionKey, connections, endpointsByAddress, policy } from "./maps.bpf.ts";
import { DIRECTION_EGRESS, DIRECTION_INGRESS, entryFor, type Asked } from "./policy.bpf.ts";

/**
 * A socket by its own end and the other. `namespace`: SO_NETNS_COOKIE of where it is: addresses alone would let a workload that gives itself
 * another's be taken for it.
 */
export const SpliceKey = struct("SpliceKey", {
  namespace: u64,
  local: Address,
  remote: Address,
  localPort: u16,
  remotePort: u16,
  pad: u32,
});
export type SpliceKey = Of<typeof SpliceKey>;
export const spliced = sockHash("skep_splice", { key: SpliceKey, maxEntries: 65_536 });
/** The namespace of each workload's addresses. */
export const homes = hash("skep_splice_ns", { key: Address, value: u64, maxEntries: 65_536 });

/** 0: nothing was sent yet; 1 directly; 2 through the network, and so for ever: what goes there first must not be overtaken. */
const SpliceState = struct("SpliceState", { way: u32 });
const states = skStorage("skep_splice_way", { value: SpliceState });
const DIRECT = 1;
const NETWORK = 2;

export const SpliceCount = struct("SpliceCount", { messages: u64, bytes: u64, sockets: u64, network: u64 });
export const counts = percpuArray("skep_splice_sum", { value: SpliceCount, maxEntries: 1 });

const ESTABLISHED_ACTIVE = 4;
const ESTABLISHED_PASSIVE = 5;
const AF_INET = 2;
const AF_INET6 = 10;
/** BPF_F_INGRESS */
const RECEIVES = 1n;

function mapped(ip4: u32): Address {
  return { w0: 0, w1: 0, w2: 0xffff, w3: ip4 };
}
function words(ip6: Ip6Words): Address {
  return { w0: ip6[0], w1: ip6[1], w2: ip6[2], w3: ip6[3] };
}

/** Sockets of workloads with workloads of this node are remembered when they are connected. */
export const established = sockOps("skep_splice_ops", (ctx) => {
  if (ctx.op !== ESTABLISHED_ACTIVE && ctx.op !== ESTABLISHED_PASSIVE) return 1;
  const key = SpliceKey.zero();
  if (ctx.family === AF_INET) {
    key.local = mapped(ctx.localIp4);
    key.remote = mapped(ctx.remoteIp4);
  } else if (ctx.family === AF_INET6) {
    key.local = words(ctx.localIp6);
    key.remote = words(ctx.remoteIp6);
  } else return 1;
  key.namespace = getNetnsCookie(ctx);
  const home = homes.ref(key.local);
  if (!home || home.value !== key.namespace || homes.ref(key.remote) === null) return 1;
  key.localPort = u16(ctx.localPort);
  key.remotePort = ctx.remotePort;
  if (sockHashUpdate(ctx, spliced, key, 0n) === 0n) {
    const count = counts.get(0);
    if (count) count.sockets += 1n;
  }
  return 1;
});

/** Whether the endpoint's policy allows it as it is: not only audited, and without a proxy. */
function allows(endpoint: u32, direction: u8, identity: u32, port: u16): boolean {
  const entries = policy.get(endpoint);
  if (!entries) return false;
  const asked: Asked = { direction, protocol: PROTOCOL.TCP, port };
  const exact = entryFor(entries, identity, asked);
  const any = entryFor(entries, 0, asked);
  // Where either has something to say beside "allowed", packets are to be asked.
  if (exact && (exact.flags !== 0 || exact.proxyPort !== 0)) return false;
  if (any && (any.flags !== 0 || any.proxyPort !== 0)) return false;
  return exact !== null || any !== null;
}

/** Both policies have allowed the connection, and are still those that did: every change of one raises its generation. */
function isAllowed(key: SpliceKey, isFirst: boolean): boolean {
  const sender = endpointsByAddress.get(key.remote);
  const receiver = endpointsByAddress.get(key.local);
  if (!sender || !receiver) return false;
  // What has a rate is held to it by its packets.
  if ((sender.flags & LIMITED_EGRESS) !== 0 || (receiver.flags & LIMITED_INGRESS) !== 0) return false;
  const at = ConnectionKey.zero();
  at.protocol = PROTOCOL.TCP;
  const { remote: source, local: destination, remotePort: sourcePort, localPort: destinationPort } = key;
  const swapped = order(at, { source, destination, sourcePort, destinationPort });
  const connection = connections.get(at);
  const now = clock();
  if (!connection || connection.expires <= now) return false;
  if ((connection.flags & (CT_FIN | CT_FIN_REPLY | CT_RST | CT_SERVICE | CT_LOOPBACK | CT_DIRECT)) !== 0) return false;
  const isOpener = swapped === ((connection.flags & CT_OPENED_BY_SECOND) !== 0);
  const opener = isOpener ? sender : receiver;
  const other = isOpener ? receiver : sender;
  if (opener.generation === 0 || connection.egressGeneration !== opener.generation) return false;
  if (other.generation === 0 || connection.ingressGeneration !== other.generation) return false;
  if (connection.egressIdentity !== other.identity || connection.ingressIdentity !== opener.identity) return false;
  if (isFirst) {
    const port: u16 = isOpener ? key.localPort : key.remotePort;
    if (!allows(opener.id, DIRECTION_EGRESS, other.identity, port)) return false;
    if (!allows(other.id, DIRECTION_INGRESS, opener.identity, port)) return false;
  }
  connection.expires = now + lifetimeTcp.value;
  return true;
}

/** Asked for everything that such a socket sends. */
export const message = skMsg("skep_splice_msg", (ctx) => {
  const socket = ctx.socket;
  const state = socket ? states.get(socket, true) : null;
  if (!state || state.way === NETWORK) return SK.PASS;
  const key = SpliceKey.zero();
  if (ctx.family === AF_INET) {
    key.local = mapped(ctx.remoteIp4);
    key.remote = mapped(ctx.localIp4);
  } else {
    key.local = words(ctx.remoteIp6);
    key.remote = words(ctx.localIp6);
  }
  key.localPort = ctx.remotePort;
  key.remotePort = u16(ctx.localPort);
  const home = homes.ref(key.local);
  const count = counts.get(0);
  if (home && isAllowed(key, state.way === 0)) {
    key.namespace = home.value;
    if (msgRedirectHash(ctx, spliced, key, RECEIVES) === 1n) {
      state.way = DIRECT;
      if (count) {
        count.messages += 1n;
        count.bytes += u64(ctx.size);
      }
      return SK.PASS;
    }
  }
  state.way = NETWORK;
  if (count) count.network += 1n;
  return SK.PASS;
});
