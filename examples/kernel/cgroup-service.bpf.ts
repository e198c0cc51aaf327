// A service address that exists nowhere: at the socket a backend's address takes its place, and who asks for the peer's name sees the
// service again.
import {
  be16,
  be32,
  cgroupConnect4,
  cgroupGetpeername4,
  cgroupSendmsg4,
  cgroupRecvmsg4,
  getSocketCookie,
  hash,
  lruHash,
  struct,
  u64,
} from "@skep/bpf";

const Address = struct("Address", { ip: be32, port: be16, padding: be16 });
export const services = hash("services", { key: Address, value: Address, maxEntries: 64 });
/** What a socket was connected to before. */
const Socket = struct("Socket", { cookie: u64 });
export const asked = lruHash("asked", { key: Socket, value: Address, maxEntries: 1024 });

export const connect = cgroupConnect4("connect", (ctx) => {
  const wanted = { ip: ctx.userIp4, port: ctx.userPort, padding: 0 };
  const backend = services.get(wanted);
  if (!backend) return 1;
  asked.set({ cookie: getSocketCookie(ctx) }, { ip: wanted.ip, port: wanted.port, padding: 0 });
  ctx.userIp4 = backend.ip;
  ctx.userPort = backend.port;
  return 1;
});

export const peer = cgroupGetpeername4("peer", (ctx) => {
  const before = asked.get({ cookie: getSocketCookie(ctx) });
  if (before) {
    ctx.userIp4 = before.ip;
    ctx.userPort = before.port;
  }
  return 1;
});

/** The same for datagrams of sockets that are not connected. */
export const send = cgroupSendmsg4("send", (ctx) => {
  const wanted = { ip: ctx.userIp4, port: ctx.userPort, padding: 0 };
  const backend = services.get(wanted);
  if (!backend) return 1;
  asked.set({ cookie: getSocketCookie(ctx) }, { ip: wanted.ip, port: wanted.port, padding: 0 });
  ctx.userIp4 = backend.ip;
  ctx.userPort = backend.port;
  return 1;
});

export const receive = cgroupRecvmsg4("receive", (ctx) => {
  const before = asked.get({ cookie: getSocketCookie(ctx) });
  if (before) {
    ctx.userIp4 = before.ip;
    ctx.userPort = before.port;
  }
  return 1;
});
