import { SyscallError } from "./error.ts";
import { rawSyscall } from "./library.ts";
import { withPinned } from "./memory.ts";
import { Descriptor } from "./descriptor.ts";
import { checked } from "./file.ts";

export const AF = { UNIX: 1, INET: 2, INET6: 10, NETLINK: 16, PACKET: 17, ALG: 38, VSOCK: 40, XDP: 44 } as const;
export const SOCK = { STREAM: 1, DGRAM: 2, RAW: 3, NONBLOCK: 0o4000, CLOEXEC: 0o2000000 } as const;
export const SOL = { SOCKET: 1, NETLINK: 270, PACKET: 263, XDP: 283 } as const;
export const SO = {
  REUSEADDR: 2,
  SNDBUF: 7,
  RCVBUF: 8,
  BINDTODEVICE: 25,
  ATTACH_FILTER: 26,
  DETACH_BPF: 27,
  REUSEPORT: 15,
  RCVTIMEO: 20,
  SNDBUFFORCE: 32,
  RCVBUFFORCE: 33,
  MARK: 36,
  ATTACH_BPF: 50,
  ATTACH_REUSEPORT_CBPF: 51,
  ATTACH_REUSEPORT_EBPF: 52,
  COOKIE: 57,
  DETACH_REUSEPORT_BPF: 68,
  NETNS_COOKIE: 71,
} as const;
export const MSG = { PEEK: 2, TRUNC: 0x20, DONTWAIT: 0x40, NOSIGNAL: 0x4000 } as const;

/** socket(2) with SOCK_CLOEXEC. Made in the network namespace that this thread is in. */
export function openSocket(domain: number, type: number, protocol = 0): Descriptor {
  const fd = rawSyscall("socket", domain, type | SOCK.CLOEXEC, protocol);
  return new Descriptor(checked("socket", fd, `(${domain}, ${type & 15}, ${protocol})`), "socket");
}

/** socketpair(2). */
export function socketPair(domain: number, type: number): [Descriptor, Descriptor] {
  const out = new Int32Array(2);
  const bytes = new Uint8Array(out.buffer);
  checked(
    "socketpair",
    withPinned([bytes], (address) => rawSyscall("socketpair", domain, type | SOCK.CLOEXEC, 0, address)),
  );
  return [new Descriptor(out[0] as number, "socket"), new Descriptor(out[1] as number, "socket")];
}

/** bind(2); `address` is a whole sockaddr. */
export function bindSocket(fd: number, address: Uint8Array): void {
  checked(
    "bind",
    withPinned([address], (at) => rawSyscall("bind", fd, at, address.byteLength)),
  );
}

/** connect(2). */
export function connectSocket(fd: number, address: Uint8Array): void {
  checked(
    "connect",
    withPinned([address], (at) => rawSyscall("connect", fd, at, address.byteLength)),
  );
}

export function listenSocket(fd: number, backlog = 128): void {
  checked("listen", rawSyscall("listen", fd, backlog));
}

/** accept4(2); null where the call would block. */
export function acceptSocket(fd: number): Descriptor | null {
  const result = rawSyscall("accept4", fd, 0, 0, SOCK.CLOEXEC);
  return result === -11 ? null : new Descriptor(checked("accept", result), "socket");
}

function name(call: "getsockname" | "getpeername", fd: number): Uint8Array {
  const out = new Uint8Array(128);
  const length = new Uint32Array([out.byteLength]);
  checked(
    call,
    withPinned([out, new Uint8Array(length.buffer)], (at, size) => rawSyscall(call, fd, at as bigint, size as bigint)),
  );
  return out.subarray(0, length[0]);
}

/** The socket's own sockaddr. */
export function socketName(fd: number): Uint8Array {
  return name("getsockname", fd);
}

export function peerName(fd: number): Uint8Array {
  return name("getpeername", fd);
}

/** sendto(2), without SIGPIPE. How many bytes were taken; null where the call would block. */
export function sendTo(
  fd: number,
  bytes: Uint8Array,
  options: { readonly to?: Uint8Array; readonly flags?: number } = {},
): number | null {
  const to = options.to ?? new Uint8Array(0);
  const result = withPinned([bytes, to], (data, address) =>
    rawSyscall(
      "sendto",
      fd,
      data as bigint,
      bytes.byteLength,
      (options.flags ?? 0) | MSG.NOSIGNAL,
      address as bigint,
      to.byteLength,
    ),
  );
  return result === -11 ? null : checked("sendto", result);
}

/** How many bytes the message has (with MSG_TRUNC: its real length); null where the call would block. */
export function receive(fd: number, into: Uint8Array, flags = 0): number | null {
  const result = withPinned([into], (at) => rawSyscall("recvfrom", fd, at, into.byteLength, flags, 0, 0));
  return result === -11 ? null : checked("recvfrom", result);
}

/** As `receive`, with the sender's sockaddr. */
export function receiveFrom(
  fd: number,
  into: Uint8Array,
  flags = 0,
): { readonly length: number; readonly from: Uint8Array } | null {
  const from = new Uint8Array(128);
  const size = new Uint32Array([from.byteLength]);
  const result = withPinned([into, from, new Uint8Array(size.buffer)], (at, address, length) =>
    rawSyscall("recvfrom", fd, at as bigint, into.byteLength, flags, address as bigint, length as bigint),
  );
  if (result === -11) return null;
  return { length: checked("recvfrom", result), from: from.subarray(0, size[0]) };
}

export interface SocketOption {
  readonly level: number;
  readonly option: number;
}

/** setsockopt(2) with an int or with bytes. */
export function setSocketOption(fd: number, name: SocketOption, value: number | Uint8Array): void {
  const bytes = typeof value === "number" ? new Uint8Array(new Int32Array([value]).buffer) : value;
  const result = withPinned([bytes], (at) =>
    rawSyscall("setsockopt", fd, name.level, name.option, at, bytes.byteLength),
  );
  checked("setsockopt", result, `(${name.level}, ${name.option})`);
}

/** getsockopt(2): the option's bytes, at most `size` of them. */
export function socketOption(fd: number, name: SocketOption, size = 4): Uint8Array {
  const out = new Uint8Array(size);
  const length = new Uint32Array([size]);
  const result = withPinned([out, new Uint8Array(length.buffer)], (at, count) =>
    rawSyscall("getsockopt", fd, name.level, name.option, at as bigint, count as bigint),
  );
  checked("getsockopt", result, `(${name.level}, ${name.option})`);
  return out.subarray(0, length[0]);
}

/** Whether the socket's pending error is clear; throws it otherwise. */
export function takeSocketError(fd: number): void {
  const SO_ERROR = 4;
  const bytes = socketOption(fd, { level: SOL.SOCKET, option: SO_ERROR });
  const number = new DataView(bytes.buffer, bytes.byteOffset).getInt32(0, true);
  if (number !== 0) throw new SyscallError("connect", number);
}
