// Tells of every cgroup hook of sockets in its order, and answers as it was told to.
import { hash, i32, ringBuf, setRetval, struct, u32 } from "@skep/bpf";
import {
  cgroupBind4,
  cgroupBind6,
  cgroupConnect4,
  cgroupConnect6,
  cgroupGetpeername4,
  cgroupGetpeername6,
  cgroupGetsockname4,
  cgroupGetsockname6,
  cgroupPostBind4,
  cgroupPostBind6,
  cgroupRecvmsg4,
  cgroupRecvmsg6,
  cgroupSendmsg4,
  cgroupSendmsg6,
  cgroupSockCreate,
  cgroupSockRelease,
  type SockAddrContext,
  type SockContext,
} from "@skep/bpf";

export const license = "GPL";

export const Seen = struct("Seen", {
  hook: u32,
  family: u32,
  userFamily: u32,
  type: u32,
  protocol: u32,
  ip4: u32,
  w0: u32,
  w1: u32,
  w2: u32,
  w3: u32,
  port: u32,
  state: u32,
});

/** What a hook answers: `verdict` 1 allows; `rewrite` 1: IPv4 and port, 2: IPv6 and port. */
export const Rule = struct("Rule", {
  verdict: u32,
  errno: i32,
  rewrite: u32,
  ip4: u32,
  w0: u32,
  w1: u32,
  w2: u32,
  w3: u32,
  port: u32,
});

export const rules = hash("rules", { key: u32, value: Rule, maxEntries: 64 });
export const seen = ringBuf("seen", Seen, { bytes: 65536 });

function verdictOf(hook: u32): u32 {
  const rule = rules.get(hook);
  if (!rule) return 1;
  if (rule.errno !== 0) setRetval(-rule.errno);
  return rule.verdict === 0 ? 0 : 1;
}

function address4(ctx: SockAddrContext, hook: u32): void {
  const record = Seen.zero();
  record.hook = hook;
  record.family = ctx.family;
  record.userFamily = ctx.userFamily;
  record.type = ctx.type;
  record.protocol = ctx.protocol;
  record.ip4 = ctx.userIp4;
  record.port = ctx.userPort;
  seen.emit(record);
  const rule = rules.get(hook);
  if (rule && rule.rewrite === 1) {
    ctx.userIp4 = rule.ip4;
    ctx.userPort = rule.port & 0xffff;
  }
}

function address6(ctx: SockAddrContext, hook: u32): void {
  const record = Seen.zero();
  record.hook = hook;
  record.family = ctx.family;
  record.userFamily = ctx.userFamily;
  record.type = ctx.type;
  record.protocol = ctx.protocol;
  record.w0 = ctx.userIp6[0];
  record.w1 = ctx.userIp6[1];
  record.w2 = ctx.userIp6[2];
  record.w3 = ctx.userIp6[3];
  record.port = ctx.userPort;
  seen.emit(record);
  const rule = rules.get(hook);
  if (rule && rule.rewrite === 2) {
    ctx.userIp6[0] = rule.w0;
    ctx.userIp6[1] = rule.w1;
    ctx.userIp6[2] = rule.w2;
    ctx.userIp6[3] = rule.w3;
    ctx.userPort = rule.port & 0xffff;
  }
}

function socket(ctx: SockContext, hook: u32): void {
  const record = Seen.zero();
  record.hook = hook;
  record.family = ctx.family;
  record.type = ctx.type;
  record.protocol = ctx.protocol;
  seen.emit(record);
}

export const create = cgroupSockCreate("create", (ctx) => {
  socket(ctx, 1);
  return verdictOf(1);
});
export const release = cgroupSockRelease("release", (ctx) => {
  socket(ctx, 2);
  return 1;
});
export const bind4 = cgroupBind4("bind4", (ctx) => {
  address4(ctx, 3);
  return verdictOf(3);
});
export const bind6 = cgroupBind6("bind6", (ctx) => {
  address6(ctx, 4);
  return verdictOf(4);
});
export const postBind4 = cgroupPostBind4("post_bind4", (ctx) => {
  const record = Seen.zero();
  record.hook = 5;
  record.family = ctx.family;
  record.type = ctx.type;
  record.protocol = ctx.protocol;
  record.ip4 = ctx.srcIp4;
  record.port = ctx.srcPort;
  record.state = ctx.state;
  seen.emit(record);
  return verdictOf(5);
});
export const postBind6 = cgroupPostBind6("post_bind6", (ctx) => {
  const record = Seen.zero();
  record.hook = 6;
  record.family = ctx.family;
  record.type = ctx.type;
  record.protocol = ctx.protocol;
  record.w0 = ctx.srcIp6[0];
  record.w1 = ctx.srcIp6[1];
  record.w2 = ctx.srcIp6[2];
  record.w3 = ctx.srcIp6[3];
  record.port = ctx.srcPort;
  record.state = ctx.state;
  seen.emit(record);
  return verdictOf(6);
});
export const connect4 = cgroupConnect4("connect4", (ctx) => {
  address4(ctx, 7);
  return verdictOf(7);
});
export const connect6 = cgroupConnect6("connect6", (ctx) => {
  address6(ctx, 8);
  return verdictOf(8);
});
export const sendmsg4 = cgroupSendmsg4("sendmsg4", (ctx) => {
  address4(ctx, 9);
  return verdictOf(9);
});
export const sendmsg6 = cgroupSendmsg6("sendmsg6", (ctx) => {
  address6(ctx, 10);
  return verdictOf(10);
});
export const recvmsg4 = cgroupRecvmsg4("recvmsg4", (ctx) => {
  address4(ctx, 11);
  return 1;
});
export const recvmsg6 = cgroupRecvmsg6("recvmsg6", (ctx) => {
  address6(ctx, 12);
  return 1;
});
export const getpeername4 = cgroupGetpeername4("getpeername4", (ctx) => {
  address4(ctx, 13);
  return 1;
});
export const getpeername6 = cgroupGetpeername6("getpeername6", (ctx) => {
  address6(ctx, 14);
  return 1;
});
export const getsockname4 = cgroupGetsockname4("getsockname4", (ctx) => {
  address4(ctx, 15);
  return 1;
});
export const getsockname6 = cgroupGetsockname6("getsockname6", (ctx) => {
  address6(ctx, 16);
  return 1;
});
