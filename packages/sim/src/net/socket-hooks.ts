/**
 * @module
 * The cgroup hooks of sockets: what is asked before a socket connects, sends or tells its peer (net/core/filter.c, `struct bpf_sock_addr`).
 */
import type { Address } from "@skep/net";
import type { Cgroup } from "../processes.ts";
import { errorOf, SimError } from "../error.ts";
import type { SimNamespace } from "./namespace.ts";

export interface SocketOwner {
  readonly namespace: SimNamespace;
  /** Null: in no cgroup that a program hangs at. */
  readonly cgroup: Cgroup | null;
  /** SO_COOKIE. */
  readonly cookie: bigint;
  /** IANA number of the protocol, and SOCK_STREAM or SOCK_DGRAM. */
  readonly protocol: number;
  readonly type: number;
}

export interface Endpoint {
  readonly address: Address;
  readonly port: number;
}

export type SockAddrHook = "connect" | "sendmsg" | "recvmsg" | "getpeername" | "getsockname" | "bind";

const SIZE = 72;
const [FAMILY, IP4, IP6, PORT, FAMILY2, TYPE, PROTOCOL] = [0, 4, 8, 24, 28, 32, 36];
const EPERM = 1;
/** Where the program's answer is not asked for: what it says is how things are. */
const UNASKED: readonly SockAddrHook[] = ["recvmsg", "getpeername", "getsockname"];

/** `cgroup_inet4_connect`, or for what was added later `cgroup_udp4_sendmsg`. */
function attachTypeOf(hook: SockAddrHook, family: 4 | 6): string {
  const kind = hook === "sendmsg" || hook === "recvmsg" ? "udp" : "inet";
  return `cgroup_${kind}${family}_${hook}`;
}

/**
 * The endpoint as the programs of the owner's cgroup and of those above it leave it. Throws what they answer: EPERM, or the number of
 * bpf_set_retval.
 */
export function runSockAddr(owner: SocketOwner, hook: SockAddrHook, asked: Endpoint): Endpoint {
  const { family } = asked.address;
  const links = owner.cgroup?.effective(attachTypeOf(hook, family)) ?? [];
  let now = asked;
  for (const link of links) {
    const result = owner.namespace.network.bpf.run(link.program.program, {
      context: encode(owner, now),
      host: {
        netnsCookie: owner.namespace.cookie,
        socketCookie: () => owner.cookie,
        ...(owner.cgroup
          ? { task: { pid: 1, tgid: 1, uid: 0, gid: 0, command: "sim", cgroup: owner.cgroup.info } }
          : {}),
      },
    });
    if ((result.returned & 1) === 0 && !UNASKED.includes(hook))
      throw errorOf(result.setReturn === null ? EPERM : -result.setReturn, `${hook} is refused by a program`);
    now = decode(result.context, family);
  }
  return now;
}

function encode({ type, protocol }: SocketOwner, { address, port }: Endpoint): Uint8Array {
  const bytes = new Uint8Array(SIZE);
  const view = new DataView(bytes.buffer);
  const family = address.family === 4 ? 2 : 10;
  view.setUint32(FAMILY, family, true);
  bytes.set(address.bytes, address.family === 4 ? IP4 : IP6);
  // The port is in network order in a word of the machine's.
  view.setUint16(PORT, port);
  view.setUint32(FAMILY2, family, true);
  view.setUint32(TYPE, type, true);
  view.setUint32(PROTOCOL, protocol, true);
  return bytes;
}

function decode(context: Uint8Array, family: 4 | 6): Endpoint {
  const view = new DataView(context.buffer, context.byteOffset, context.byteLength);
  const bytes = family === 4 ? context.slice(IP4, IP4 + 4) : context.slice(IP6, IP6 + 16);
  return { address: { family, bytes }, port: view.getUint16(PORT) };
}

/** The address is one that packets can go to. */
export function checkDestination({ address, port }: Endpoint): void {
  if (port < 1 || port > 65_535) throw new SimError("EINVAL", `port ${port}`);
  if (address.bytes.every((byte) => byte === 0)) throw new SimError("ECONNREFUSED", "connecting to nobody");
}
