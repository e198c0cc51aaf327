/**
 * @module
 * What a program may ask of the machine around it: time, devices, routes, sockets, tasks, cgroups. A simulated machine implements what it
 * has; a helper whose member is absent answers as a kernel does where there is nothing to find. Everything is synchronous. Errors are
 * negative errno numbers, as helpers give them (`errno` of this package holds the positive ones).
 *
 * A `Host` is given to `new Vm({ host })` for all runs and, where it depends on the place (the namespace of the hook, the sending task), to
 * `vm.run(program, { host })` for one; members that the run's host lacks are the machine's.
 */
import type { KernelObject } from "./object.ts";
import type { VmMap } from "./maps/map.ts";

export interface Host {
  // ---- time ----

  /** Nanoseconds of a clock; default: the machine's `clock` for all of them. */
  clock?(which: ClockName): bigint;
  /** Calls `run` once when CLOCK_MONOTONIC reaches `at` (bpf_timer, bpf_wq); gives what cancels it. Without it timers are refused (EOPNOTSUPP). */
  schedule?(at: bigint, run: () => void): () => void;

  // ---- output ----

  /** A line of bpf_trace_printk, as soon as it is printed. */
  print?(text: string): void;
  /** A record of a perf event array. `cpu`: the index that was written to. Gives 0 or a negative errno; without it ENOENT. */
  perfOutput?(map: VmMap, cpu: number, data: Uint8Array): number;

  // ---- devices and routes ----

  /** MTU of an interface; null where there is none. */
  mtu?(interfaceIndex: number): number | null;
  /** bpf_fib_lookup. */
  fibLookup?(query: FibQuery): FibAnswer;
  /** Where bpf_clone_redirect sends a copy. Gives 0 or a negative errno; without it the copy is only listed in the result. */
  sendClone?(packet: Uint8Array, interfaceIndex: number, ingress: boolean): number;

  // ---- sockets ----

  /** bpf_sk_lookup_tcp, bpf_skc_lookup_tcp, bpf_sk_lookup_udp. The object's bytes are a `struct bpf_sock`. */
  findSocket?(query: SocketQuery): KernelObject | null;
  /** The program let go of a socket that `findSocket` gave. */
  releaseSocket?(socket: KernelObject): void;
  /** bpf_sk_assign; null takes an assignment back (sk_lookup only). Gives 0 or a negative errno. */
  assignSocket?(socket: KernelObject | null, flags: bigint): number;
  /** The socket that listens for this one (bpf_get_listener_sock), its full socket (bpf_sk_fullsock), its `struct bpf_tcp_sock`. */
  relatedSocket?(socket: KernelObject, which: "listener" | "full" | "tcp"): KernelObject | null;
  /** bpf_getsockopt, bpf_setsockopt on the socket of the context or on a given one. `value` is read, or filled in. */
  socketOption?(request: SocketOptionRequest): number;
  /** The socket of the run: what `ctx->sk`, storages and cookies mean. */
  readonly socket?: KernelObject | null;
  /** The object behind the number that user space gives maps for it (a descriptor); null: EBADF. */
  objectOf?(kind: ObjectKind, descriptor: number): KernelObject | null;
  /** bpf_bind. `address` is a sockaddr. */
  bind?(address: Uint8Array): number;

  // ---- who ----

  /** The task that runs; without it the kernel's idle task: pid 0, root. */
  readonly task?: TaskInfo;
  /** Every task, in the order of their numbers; default: only `task`. */
  tasks?(): readonly TaskInfo[];
  /** bpf_send_signal to the task that runs; `thread`: to it alone. Gives 0 or a negative errno; without it EPERM. */
  signal?(task: TaskInfo, signal: number, thread: boolean): number;
  /** bpf_sock_destroy. Gives 0 or a negative errno; without it EOPNOTSUPP. */
  destroySocket?(socket: KernelObject): number;
  /** Every cgroup, those above before those below. */
  cgroups?(): readonly CgroupInfo[];
  /** The cgroup of a packet's socket, or of a socket; null where it has none. */
  cgroupOf?(of: KernelObject | "packet"): CgroupInfo | null;
  /** SO_COOKIE of a socket, or of the run's. */
  socketCookie?(socket: KernelObject | null): bigint;
  /** Owner of the run's socket; default overflowuid. */
  socketUid?(): number;
  /** SO_NETNS_COOKIE of the namespace of the run. Default 1, the initial one. */
  readonly netnsCookie?: bigint;

  /** Return addresses, innermost first (bpf_get_stackid). */
  stack?(which: "kernel" | "user"): readonly bigint[];
  /** What the hook says of itself: the attachment's cookie, the probed function, what the hook returns so far (bpf_get_retval). */
  readonly place?: { readonly cookie?: bigint; readonly functionAddress?: bigint; readonly returned?: number };

  // ---- what a packet carries beside its bytes ----

  /** bpf_skb_get_tunnel_key and set. `get`: null where the packet came by no tunnel. `set` gives 0 or a negative errno. */
  readonly tunnelKey?: { get(): TunnelKey | null; set(key: TunnelKey): number };
  /** bpf_get_route_realm. */
  readonly routeRealm?: number;

  // ---- hooks with a protocol of their own ----

  /** Size-limited byte areas that a helper of one program type reads or writes, by helper name. Absent: the helper gives EOPNOTSUPP. */
  readonly special?: Readonly<Record<string, SpecialHelper>>;
}

/** What a tunnel says outside of a packet (`struct bpf_tunnel_key`). Addresses have 4 or 16 bytes in network order. */
export interface TunnelKey {
  readonly id: number;
  /** The other end: where it came from, where it is to go. */
  readonly remote: Uint8Array;
  readonly local?: Uint8Array;
  readonly tos: number;
  readonly ttl: number;
}

export type ObjectKind = "socket" | "task" | "inode" | "cgroup";

export type ClockName = "monotonic" | "boottime" | "coarse" | "tai" | "realtime";

/** A helper that only one kind of hook has (sysctl, sockops header options, sk_msg): the machine that fires the hook answers it. */
export type SpecialHelper = (call: {
  /** Arguments one to five. */
  readonly args: readonly bigint[];
  /** Checked bytes of the program: throws what stops the program where they are not its own. */
  read(address: bigint, size: number): Uint8Array;
  write(address: bigint, data: Uint8Array): void;
}) => number | bigint;

export interface FibQuery {
  /** AF_INET 2, AF_INET6 10. */
  readonly family: number;
  readonly protocol: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** Total length of the packet at layer 3, 0 where it is not to be checked. */
  readonly totalLength: number;
  readonly interfaceIndex: number;
  readonly tos: number;
  /** 4 or 16 bytes. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** BPF_FIB_LOOKUP_*. */
  readonly flags: number;
  readonly table: number;
  readonly mark: number;
}

export interface FibAnswer {
  /** BPF_FIB_LKUP_RET_*, or a negative errno. 0 is success. */
  readonly result: number;
  readonly interfaceIndex?: number;
  readonly metric?: number;
  readonly mtu?: number;
  /** Next hop, 4 or 16 bytes; absent: the destination itself. */
  readonly gateway?: Uint8Array;
  readonly source?: Uint8Array;
  readonly sourceMac?: Uint8Array;
  readonly destinationMac?: Uint8Array;
}

export interface SocketQuery {
  readonly protocol: "tcp" | "udp";
  /** bpf_skc_lookup_tcp also finds request and time-wait sockets. */
  readonly anyState: boolean;
  /** The tuple: 4-byte or 16-byte addresses. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** -1: the namespace of the run. */
  readonly namespace: bigint;
  readonly flags: bigint;
}

export interface SocketOptionRequest {
  readonly how: "get" | "set";
  /** null: the socket of the context. */
  readonly socket: KernelObject | null;
  readonly level: number;
  readonly option: number;
  readonly value: Uint8Array;
}

export interface TaskInfo {
  readonly pid: number;
  readonly tgid: number;
  readonly uid: number;
  readonly gid: number;
  /** At most 15 bytes. */
  readonly command: string;
  readonly cgroup?: CgroupInfo;
  /** Mapped areas (`struct vm_area_struct`), ascending; `end`: the byte behind. */
  readonly areas?: readonly { readonly end: bigint; readonly object: KernelObject }[];
  /** Its `struct task_struct`, for programs that walk it and for task storage. */
  readonly object?: KernelObject;
}

export interface CgroupInfo {
  readonly id: bigint;
  /** Ids from the root down to this one, which is the last. */
  readonly ancestors: readonly bigint[];
  readonly classId?: number;
  readonly object?: KernelObject;
}
