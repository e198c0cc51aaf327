/**
 * @module
 * What is the same of every socket (`struct sock`), and how programs see it (`struct bpf_sock`, include/uapi/linux/bpf.h).
 */
import { type Address, mappedBytes } from "@skep/net";
import type { Host, KernelObject } from "@skep/vm";
import type { Cgroup } from "../processes.ts";
import { fibLookup } from "./fib.ts";
import { SockPrograms } from "./sock-programs.ts";
import type { Facts } from "./sock-ops.ts";
import type { SimNamespace } from "./namespace.ts";

export interface Endpoint {
  readonly address: Address;
  readonly port: number;
}

/** IANA numbers of the protocols, and SOCK_STREAM or SOCK_DGRAM. */
export const KIND = { tcp: { protocol: 6, type: 1 }, udp: { protocol: 17, type: 2 } } as const;

/** include/net/tcp_states.h */
export const STATE = {
  established: 1,
  synSent: 2,
  synReceived: 3,
  finWait1: 4,
  finWait2: 5,
  timeWait: 6,
  close: 7,
  closeWait: 8,
  lastAck: 9,
  listen: 10,
  newSynReceived: 12,
} as const;

export interface SockOptions {
  readonly namespace: SimNamespace;
  /** Null: in no cgroup that a program hangs at. */
  readonly cgroup: Cgroup | null;
  /** Of the socket, not of its addresses: one of IPv6 also talks to mapped IPv4 addresses. */
  readonly family: 4 | 6;
  readonly kind: keyof typeof KIND;
}

export const ANY: Readonly<Record<4 | 6, Address>> = {
  4: { family: 4, bytes: new Uint8Array(4) },
  6: { family: 6, bytes: new Uint8Array(16) },
};

export const isAny = ({ bytes }: Address): boolean => bytes.every((byte) => byte === 0);

/** The address as packets have it: a mapped one is an IPv4 address. */
export function onWire(address: Address): Address {
  const { family, bytes } = address;
  const isMapped = family === 6 && bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 255;
  return isMapped && bytes[11] === 255 ? { family: 4, bytes: bytes.slice(12) } : address;
}

/** The address as a socket of the family shows it. */
export function shownTo(family: 4 | 6, address: Address): Address {
  return family === 6 && address.family === 4 ? { family: 6, bytes: mappedBytes(address) } : address;
}

const SIZE = 80;
const at = {
  ...{ device: 0, family: 4, type: 8, protocol: 12, mark: 16, priority: 20, sourceIp4: 24, sourceIp6: 28 },
  ...{ sourcePort: 44, destinationPort: 48, destinationIp4: 52, destinationIp6: 56, state: 72, queue: 76 },
} as const;

export class Sock {
  readonly namespace: SimNamespace;
  readonly cgroup: Cgroup | null;
  readonly family: 4 | 6;
  readonly kind: keyof typeof KIND;
  /** SO_COOKIE. */
  readonly cookie: bigint;
  /** As the stack has them: IPv4 addresses where packets have such. */
  local: Endpoint;
  remote: Endpoint | null = null;
  state: number = STATE.close;
  mark = 0;
  priority = 0;
  boundDevice = 0;
  /** Which callbacks its programs asked for (bpf_sock_ops_cb_flags_set). */
  callbacks = 0;
  /** Of a connection: its numbers as they are now. */
  facts: (() => Facts) | null = null;
  /** What a redirect of a program puts in: data to send as it is, or data that counts as received. */
  redirected: { send(data: Uint8Array): void; receive(data: Uint8Array): void } | null = null;
  /** Of sockmaps. */
  readonly programs = new SockPrograms();
  /** What user space puts into maps for it. */
  readonly descriptor: number;
  /** Its process has closed it. */
  isReleased = false;
  /** Values of options that were set, by level and number. */
  readonly options = new Map<string, Uint8Array>();
  #object: KernelObject | null = null;

  constructor(options: SockOptions) {
    this.namespace = options.namespace;
    this.cgroup = options.cgroup;
    this.family = options.family;
    this.kind = options.kind;
    const { network } = options.namespace;
    this.cookie = network.nextCookie();
    // As a process has them that keeps its first three.
    this.descriptor = Number(this.cookie) + 2;
    network.descriptors.set(this.descriptor, this);
    this.local = { address: ANY[options.family], port: 0 };
  }

  get protocol(): number {
    return KIND[this.kind].protocol;
  }

  get type(): number {
    return KIND[this.kind].type;
  }

  /** The end's address as this socket shows it, in 16 bytes. */
  shown(end: Endpoint): { readonly mapped: Uint8Array } {
    return { mapped: shownTo(6, end.address).bytes };
  }

  /** What programs see, as it is now. */
  get object(): KernelObject {
    const { network } = this.namespace;
    if (!this.#object) {
      this.#object = network.bpf.vm.createObject("bpf_sock", new Uint8Array(SIZE));
      network.sockets.set(this.#object, this);
    }
    this.#object.write(0, this.encode());
    return this.#object;
  }

  /** The bytes of `struct bpf_sock`. */
  encode(): Uint8Array {
    const bytes = new Uint8Array(SIZE);
    const view = new DataView(bytes.buffer);
    const word = (offset: number, value: number): void => view.setUint32(offset, value, true);
    word(at.device, this.boundDevice);
    word(at.family, this.family === 4 ? 2 : 10);
    word(at.type, this.type);
    word(at.protocol, this.protocol);
    word(at.mark, this.mark);
    word(at.priority, this.priority);
    this.#putAddress(bytes, this.local.address, [at.sourceIp4, at.sourceIp6]);
    word(at.sourcePort, this.local.port);
    if (this.remote) {
      this.#putAddress(bytes, this.remote.address, [at.destinationIp4, at.destinationIp6]);
      view.setUint16(at.destinationPort, this.remote.port);
    }
    word(at.state, this.state);
    // -1: no queue.
    word(at.queue, 0xffff_ffff);
    return bytes;
  }

  /** Sockets of IPv6 keep an IPv4 address also in the place of IPv4's (`sk_rcv_saddr`). */
  #putAddress(bytes: Uint8Array, address: Address, [ip4, ip6]: readonly [number, number]): void {
    if (address.family === 4) bytes.set(address.bytes, ip4);
    if (this.family === 6) bytes.set(shownTo(6, address).bytes, ip6);
  }

  /** What a program that runs for this socket may ask. */
  host(more: Host = {}): Host {
    const { namespace, cgroup } = this;
    const { network } = namespace;
    const socketOf = (object: KernelObject | null): Sock => (object && network.sockets.get(object)) ?? this;
    return {
      ...network.hostOf(namespace),
      socket: this.object,
      socketCookie: (object) => socketOf(object).cookie,
      cgroupOf: (of) => (of === "packet" ? this : socketOf(of)).cgroup?.info ?? null,
      ...(cgroup ? { task: { pid: 1, tgid: 1, uid: 0, gid: 0, command: "sim", cgroup: cgroup.info } } : {}),
      fibLookup: (query) => fibLookup(namespace, query),
      socketOption: ({ how, socket, level, option, value }) =>
        how === "set"
          ? socketOf(socket).setOption(level, option, value)
          : socketOf(socket).option(level, option, value),
      ...more,
    };
  }

  /** setsockopt of programs: 0 or a negative errno (net/core/filter.c: sol_socket_sockopt and those below it). */
  setOption(level: number, option: number, value: Uint8Array): number {
    if (!isOption(level, option)) return -EINVAL;
    const isWord = value.length === 4;
    const number = isWord ? new DataView(value.buffer, value.byteOffset).getUint32(0, true) : 0;
    if (level === SOL_SOCKET && !isWord) return -EINVAL;
    if (level === SOL_SOCKET && option === SO.mark) this.mark = number;
    else if (level === SOL_SOCKET && option === SO.priority) this.priority = number;
    else if (level === SOL_SOCKET && (option === SO.sendBuffer || option === SO.receiveBuffer))
      // The kernel doubles what is asked for (__sock_set_rcvbuf).
      this.options.set(`${level} ${option}`, new Uint8Array(Uint32Array.of(number * 2).buffer));
    else if (level === IPPROTO_TCP && option === TCP_CALLBACKS) this.callbacks = number & 0x7f;
    else this.options.set(`${level} ${option}`, value.slice());
    return 0;
  }

  option(level: number, option: number, value: Uint8Array): number {
    if (!isOption(level, option)) return -EINVAL;
    const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
    value.fill(0);
    const known = this.options.get(`${level} ${option}`);
    if (known) value.set(known.subarray(0, value.length));
    else if (level === SOL_SOCKET && value.length >= 4)
      view.setUint32(0, option === SO.mark ? this.mark : option === SO.priority ? this.priority : 0, true);
    return 0;
  }

  close(): void {
    this.namespace.network.descriptors.delete(this.descriptor);
    this.programs.leaveAll();
    const object = this.#object;
    this.#object = null;
    if (!object) return;
    this.namespace.network.sockets.delete(object);
    object.close();
  }
}

const EINVAL = 22;
const [SOL_SOCKET, IPPROTO_IP, IPPROTO_TCP, IPPROTO_IPV6] = [1, 0, 6, 41];
const SO = { mark: 36, priority: 12, sendBuffer: 7, receiveBuffer: 8 } as const;
/** TCP_BPF_SOCK_OPS_CB_FLAGS */
const TCP_CALLBACKS = 1008;
/** Options that programs may name (net/core/filter.c: sol_socket_sockopt, sol_tcp_sockopt, sol_ip_sockopt, sol_ipv6_sockopt). */
const OPTIONS: ReadonlyMap<number, readonly number[]> = new Map([
  [SOL_SOCKET, [2, 7, 8, 9, 12, 18, 25, 36, 47, 72, 74]],
  [IPPROTO_TCP, [1, 2, 4, 5, 6, 10, 12, 13, 18, 25, 27, 28, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008]],
  [IPPROTO_IP, [1]],
  [IPPROTO_IPV6, [67, 70]],
]);

function isOption(level: number, option: number): boolean {
  return OPTIONS.get(level)?.includes(option) ?? false;
}
