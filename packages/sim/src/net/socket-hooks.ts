/**
 * @module
 * The cgroup hooks of sockets (kernel/bpf/cgroup.c): what is asked when a socket is made, bound, connected, sends, is asked for its names and
 * is closed. Every program of the cgroup and of those above it runs, whatever the others answer.
 */
import { type Address, addressOf, formatAddress } from "@skep/net";
import type { RunInput, RunResult } from "@skep/vm";
import { errorOf, SimError } from "../error.ts";
import { ANY, type Endpoint, isAny, type Sock, shownTo } from "./sock.ts";

export type { Endpoint } from "./sock.ts";

export type SockAddrHook = "connect" | "sendmsg" | "recvmsg" | "getpeername" | "getsockname" | "bind";

const SIZE = 72;
const [FAMILY, IP4, IP6, PORT, FAMILY2, TYPE, PROTOCOL, SOURCE4, SOURCE6, SOCKET] = [
  0, 4, 8, 24, 28, 32, 36, 40, 44, 64,
];
const [AF_INET, AF_INET6] = [2, 10];
const EPERM = 1;
/** Bit 1 of what a bind program returns: BPF_RET_BIND_NO_CAP_NET_BIND_SERVICE. */
const ALLOWED = 1;

/** `cgroup_inet4_connect`, or for what was added later `cgroup_udp4_sendmsg`. */
function attachTypeOf(hook: SockAddrHook, family: 4 | 6): string {
  const kind = hook === "sendmsg" || hook === "recvmsg" ? "udp" : "inet";
  return `cgroup_${kind}${family}_${hook}`;
}

/** bpf_prog_run_array_cg: a refusal without a number is EPERM; the last number that a program set is the answer, 0 for none. */
function runAll(
  sock: Sock,
  attachType: string,
  each: { input(): RunInput; readonly more?: Parameters<Sock["host"]>[0]; after?(result: RunResult): void },
): number {
  const { bpf } = sock.namespace.network;
  let answer = 0;
  for (const link of sock.cgroup?.effective(attachType) ?? []) {
    const place = { returned: answer };
    const result = bpf.run(link.program.program, { ...each.input(), host: sock.host({ ...each.more, place }) });
    if (result.setReturn !== null) answer = result.setReturn;
    if ((result.returned & ALLOWED) === 0 && answer >= 0) answer = -EPERM;
    each.after?.(result);
  }
  return answer;
}

function refuse(answer: number, what: string): void {
  if (answer < 0) throw errorOf(-answer, `${what} is refused by a program`);
}

export interface SockAddrAnswer extends Endpoint {
  /** Of sendmsg: the source that a program chose. */
  readonly source: Address | null;
}

/**
 * The endpoint as the programs leave it. `asked`: as user space gave it, whose family says which hooks run. Throws what they answer to
 * `connect`, `sendmsg` and `bind`: EPERM, or the number of bpf_set_retval; the other hooks are told, not asked.
 */
export function runSockAddr(sock: Sock, hook: SockAddrHook, asked: Endpoint): SockAddrAnswer {
  const { family } = asked.address;
  let now: SockAddrAnswer = { ...asked, source: null };
  const answer = runAll(sock, attachTypeOf(hook, family), {
    input: () => ({ context: encode(sock, now) }),
    after: ({ context }) => {
      now = decode(context, family);
    },
    ...(hook === "connect" ? { more: { bind: (address: Uint8Array) => bindFromProgram(sock, address) } } : {}),
  });
  if (hook === "connect" || hook === "sendmsg" || hook === "bind") refuse(answer, hook);
  return now;
}

function encode(sock: Sock, { address, port, source }: SockAddrAnswer): Uint8Array {
  const bytes = new Uint8Array(SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(FAMILY, address.family === 4 ? AF_INET : AF_INET6, true);
  bytes.set(address.bytes, address.family === 4 ? IP4 : IP6);
  // The port is in network order in a word of the machine's.
  view.setUint16(PORT, port);
  view.setUint32(FAMILY2, sock.family === 4 ? AF_INET : AF_INET6, true);
  view.setUint32(TYPE, sock.type, true);
  view.setUint32(PROTOCOL, sock.protocol, true);
  if (source) bytes.set(source.bytes, source.family === 4 ? SOURCE4 : SOURCE6);
  view.setBigUint64(SOCKET, BigInt(sock.object.address), true);
  return bytes;
}

function decode(context: Uint8Array, family: 4 | 6): SockAddrAnswer {
  const view = new DataView(context.buffer, context.byteOffset, context.byteLength);
  const size = family === 4 ? 4 : 16;
  const [to, from] = family === 4 ? [IP4, SOURCE4] : [IP6, SOURCE6];
  const source = addressOf(context.slice(from, from + size));
  return {
    address: addressOf(context.slice(to, to + size)),
    port: view.getUint16(PORT),
    source: isAny(source) ? null : source,
  };
}

/** bpf_bind (net/core/filter.c): the source's address, and its port where the kernel is to choose none. */
function bindFromProgram(sock: Sock, address: Uint8Array): number {
  const view = new DataView(address.buffer, address.byteOffset, address.byteLength);
  const family = address.length >= 16 ? view.getUint16(0, true) : 0;
  if (family !== AF_INET && (family !== AF_INET6 || address.length < 28)) return -EINVAL;
  const chosen = addressOf(family === AF_INET ? address.slice(4, 8) : address.slice(8, 24));
  if (!isAny(chosen) && !sock.namespace.isOwn(chosen)) return -EADDRNOTAVAIL;
  sock.local = { address: chosen, port: view.getUint16(2) || sock.local.port };
  return 0;
}

const EINVAL = 22;
const EADDRNOTAVAIL = 99;

/** A socket is made (inet_create). Throws what a program answers. */
export function runCreate(sock: Sock): void {
  refuse(runAll(sock, "cgroup_inet_sock_create", sockInput(sock)), "making a socket");
}

/** A socket is closed by its process (inet_release); its connection may go on. Once. */
export function runRelease(sock: Sock): void {
  if (sock.isReleased) return;
  sock.isReleased = true;
  runAll(sock, "cgroup_inet_sock_release", sockInput(sock));
}

/** After the port is taken (net/ipv4/af_inet.c: __inet_bind). Throws what a program answers. */
export function runPostBind(sock: Sock): void {
  refuse(runAll(sock, `cgroup_inet${sock.family}_post_bind`, sockInput(sock)), "bind");
}

const [DEVICE, MARK, PRIORITY] = [0, 16, 20];

/** The context is the socket itself; a program may set its device, mark and priority when it is made. */
function sockInput(sock: Sock): { input(): RunInput; after(result: RunResult): void } {
  return {
    input: () => ({ context: sock.encode() }),
    after: ({ context }) => {
      const view = new DataView(context.buffer, context.byteOffset, context.byteLength);
      sock.boundDevice = view.getUint32(DEVICE, true);
      sock.mark = view.getUint32(MARK, true);
      sock.priority = view.getUint32(PRIORITY, true);
    },
  };
}

/** getsockname and getpeername (inet_getname): what user space is shown. Throws ENOTCONN where there is no peer. */
export function nameOf(sock: Sock, which: "getsockname" | "getpeername"): Endpoint {
  const known = which === "getpeername" ? sock.remote : sock.local;
  if (!known) throw new SimError("ENOTCONN", which);
  const { address, port } = runSockAddr(sock, which, { ...known, address: shownTo(sock.family, known.address) });
  return { address, port };
}

/** bind(2): the hooks around it, with `take` to take a port (0: any) when the first of them have spoken. */
export function bindSock(sock: Sock, asked: Endpoint, take: (port: number) => number): void {
  if (sock.local.port !== 0) throw new SimError("EINVAL", "binding a second time");
  if (asked.address.family !== sock.family) throw new SimError("EINVAL", `binding to ${formatAddress(asked.address)}`);
  const { address, port } = runSockAddr(sock, "bind", asked);
  if (!isAny(address) && !sock.namespace.isOwn(address))
    throw new SimError("EADDRNOTAVAIL", `binding to ${formatAddress(address)}`);
  sock.local = { address, port: 0 };
  try {
    sock.local = { address, port: take(port) };
    runPostBind(sock);
  } catch (error) {
    sock.local = { address: ANY[sock.family], port: 0 };
    throw error;
  }
}

/** The address is one that packets can go to. */
export function checkDestination({ address, port }: Endpoint): void {
  if (port < 1 || port > 65_535) throw new SimError("EINVAL", `port ${port}`);
  if (address.bytes.every((byte) => byte === 0)) throw new SimError("ECONNREFUSED", "connecting to nobody");
}
