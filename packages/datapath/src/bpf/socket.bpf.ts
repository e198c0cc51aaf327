// Services at the socket: a connection to a service address becomes one to a backend before a packet exists.
import {
  cgroupConnect4,
  cgroupGetpeername4,
  getPrandomU32,
  getSocketCookie,
  setRetval,
  u16,
  type Of,
  type SockAddrContext,
} from "@skep/bpf";
import { backends, reverse, ReverseEntry, ReverseKey, ServiceKey, services } from "./maps.bpf.ts";
import { PROTOCOL } from "@skep/bpf/net";

const ALLOW = 1;
const REJECT = 0;

const EHOSTUNREACH = 113;
const ENOMEM = 12;

function reject(errno: number): number {
  setRetval(-errno);
  return REJECT;
}

function serviceKey(ctx: SockAddrContext): Of<typeof ServiceKey> {
  const key = ServiceKey.zero();
  key.address = { w0: 0, w1: 0, w2: 0xffff, w3: ctx.userIp4 };
  key.port = ctx.userPort;
  key.protocol = PROTOCOL.TCP;
  return key;
}

export const connect4 = cgroupConnect4("skep_connect4", (ctx) => {
  if (ctx.protocol !== PROTOCOL.TCP) return ALLOW;
  const key = serviceKey(ctx);
  const service = services.get(key);
  if (!service) return ALLOW;
  if (service.count === 0) return reject(EHOSTUNREACH);

  key.slot = u16((getPrandomU32() % service.count) + 1);
  const slot = services.get(key);
  if (!slot) return reject(EHOSTUNREACH);
  const backend = backends.get(slot.backend);
  if (!backend) return reject(EHOSTUNREACH);

  // getpeername must answer with what was asked for.
  const asked = ReverseKey.zero();
  asked.cookie = getSocketCookie(ctx);
  asked.address = backend.address;
  asked.port = backend.port;
  const entry = ReverseEntry.zero();
  entry.address = key.address;
  entry.port = key.port;
  entry.service = service.id;
  if (reverse.set(asked, entry) < 0n) return reject(ENOMEM);

  ctx.userIp4 = backend.address.w3;
  ctx.userPort = backend.port;
  return ALLOW;
});

export const getpeername4 = cgroupGetpeername4("skep_getpeer4", (ctx) => {
  const key = ReverseKey.zero();
  key.cookie = getSocketCookie(ctx);
  key.address = { w0: 0, w1: 0, w2: 0xffff, w3: ctx.userIp4 };
  key.port = ctx.userPort;
  const entry = reverse.get(key);
  if (!entry) return ALLOW;
  ctx.userIp4 = entry.address.w3;
  ctx.userPort = entry.port;
  return ALLOW;
});
