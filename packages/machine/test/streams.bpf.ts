// Tells of what connections, packets and messages go past: sockops, sk_lookup, cgroup_skb, sk_msg and sk_skb.
import { Ipv4 } from "@skep/bpf/net";
import {
  cgroupSkbEgress,
  cgroupSkbIngress,
  global,
  i32,
  msgRedirectMap,
  ringBuf,
  SK,
  skAssign,
  skLookup,
  skMsg,
  skRedirectMap,
  skRelease,
  skSkbParser,
  skSkbVerdict,
  sockMap,
  sockOps,
  sockOpsCbFlagsSet,
  struct,
  u32,
  u64,
} from "@skep/bpf";

export const license = "GPL";

export const Told = struct("Told", {
  what: u32,
  op: u32,
  family: u32,
  state: u32,
  local: u32,
  remote: u32,
  localPort: u32,
  remotePort: u32,
  first: u32,
  second: u32,
  full: u32,
});

export const told = ringBuf("told", Told, { bytes: 65536 });
/** The verdict of the hook that a test is about: 0 to drop. */
export const verdict = global("verdict", u32, 1);
/** Which callbacks a connection asks for. */
export const flags = global("callbacks", i32, 0);
export const chosen = sockMap("chosen", { maxEntries: 4 });
export const streams = sockMap("streams", { maxEntries: 4 });
export const messages = sockMap("messages", { maxEntries: 4 });

const OP = { CONNECT: 3, PASSIVE: 5, LISTEN: 11 } as const;

export const life = sockOps("life", (ctx) => {
  const record = Told.zero();
  record.what = 1;
  record.op = ctx.op;
  record.family = ctx.family;
  record.state = ctx.state;
  record.local = ctx.localIp4;
  record.remote = ctx.remoteIp4;
  record.localPort = ctx.localPort;
  record.remotePort = ctx.remotePort;
  record.full = ctx.isFullsock;
  if (ctx.op === 10) {
    record.first = ctx.args[0];
    record.second = ctx.args[1];
  }
  told.emit(record);
  if (flags.value !== 0 && (ctx.op === OP.CONNECT || ctx.op === OP.PASSIVE || ctx.op === OP.LISTEN))
    sockOpsCbFlagsSet(ctx, flags.value);
  return 1;
});

export const lookup = skLookup("lookup", (ctx) => {
  const record = Told.zero();
  record.what = 2;
  record.op = ctx.protocol;
  record.family = ctx.family;
  record.local = ctx.localIp4;
  record.remote = ctx.remoteIp4;
  record.localPort = ctx.localPort;
  told.emit(record);
  if (verdict.value === 0) return SK.DROP;
  const socket = chosen.get(0);
  if (!socket) return SK.PASS;
  const assigned = skAssign(ctx, socket, 0n) === 0n;
  skRelease(socket);
  return assigned ? SK.PASS : SK.DROP;
});

export const into = cgroupSkbIngress("into", (ctx) => {
  const ip = ctx.header(Ipv4, 0);
  const record = Told.zero();
  record.what = 3;
  record.op = ctx.length;
  record.family = ctx.family;
  record.localPort = ctx.localPort;
  if (ip) {
    record.first = ip.protocol;
    record.local = ip.destination;
    record.remote = ip.source;
  }
  told.emit(record);
  return verdict.value === 0 ? 0 : 1;
});

export const out = cgroupSkbEgress("out", (ctx) => {
  const ip = ctx.header(Ipv4, 0);
  const record = Told.zero();
  record.what = 4;
  record.op = ctx.length;
  record.family = ctx.family;
  if (ip) {
    record.first = ip.protocol;
    record.local = ip.source;
    record.remote = ip.destination;
  }
  told.emit(record);
  return verdict.value === 0 ? 0 : 1;
});

export const message = skMsg("message", (ctx) => {
  const record = Told.zero();
  record.what = 5;
  record.op = ctx.size;
  record.family = ctx.family;
  record.local = ctx.localIp4;
  record.remote = ctx.remoteIp4;
  record.localPort = ctx.localPort;
  record.remotePort = ctx.remotePort;
  told.emit(record);
  if (verdict.value === 0) return SK.DROP;
  if (verdict.value === 2) return msgRedirectMap(ctx, messages, 1, 1n) === 1n ? SK.PASS : SK.DROP;
  return SK.PASS;
});

/** Messages of four bytes. */
export const parser = skSkbParser("parser", (ctx) => (ctx.length < 4 ? 0 : 4));

export const splice = skSkbVerdict("splice", (ctx) => {
  const record = Told.zero();
  record.what = 6;
  record.op = ctx.length;
  record.family = ctx.family;
  record.local = ctx.localIp4;
  record.remote = ctx.remoteIp4;
  record.localPort = ctx.localPort;
  record.remotePort = ctx.remotePort;
  told.emit(record);
  if (verdict.value === 0) return SK.DROP;
  if (verdict.value === 2) return skRedirectMap(ctx, streams, 1, 0n) === 1n ? SK.PASS : SK.DROP;
  return SK.PASS;
});
