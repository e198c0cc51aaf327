/**
 * @module
 * The interface that the real machine (`linux`) and the simulated one (`sim`) implement. Products are handed a `Machine` and never
 * ask which it is. Loading, attaching and map operations are synchronous; events and waiting are asynchronous.
 */
import type { MapSpec, ObjectSpec, ProgramSpec } from "@skep/object";
import type { Address, Mac, Prefix } from "@skep/net";

export interface Machine {
  readonly name: string;
  readonly bpf: BpfMachine;
  readonly net: NetMachine;
  readonly processes: ProcessMachine;
  readonly clock: Clock;
}

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Nanoseconds of CLOCK_MONOTONIC: what bpf_ktime_get_ns gives. */
  monotonic(): bigint;
  /** Runs once after `ms`; returns a function that cancels. */
  after(ms: number, run: () => void): () => void;
}

// ---- BPF ----

export interface BpfMachine {
  /** How many values a per-CPU map holds under one key. */
  readonly possibleCpus: number;
  /** Loads maps and programs. All or nothing: what was made is closed when a later step fails. */
  load(spec: ObjectSpec, options?: LoadOptions): Collection;
  createMap(spec: MapSpec): RawMap;
  /** Opens what is pinned; null where nothing is. */
  openMap(pin: string): RawMap | null;
  openLink(pin: string): Link | null;
  openProgram(pin: string): Program | null;
  /** The program that the link runs, to be closed; null where it is gone. */
  programOf(link: Link): Program | null;
  /** Makes the pin folder, mounting a BPF file system where there is none. */
  preparePins(folder: string): { mounted: boolean };
  /** Names in a pin folder. */
  pins(folder: string): string[];
  unpin(pin: string): void;
  /** Unpins everything in a pin folder and below and removes the folders, with what `preparePins` mounted there. */
  removePins(folder: string): void;
  attach(program: Program, target: AttachTarget): Link;
}

export interface LoadOptions {
  /** Read-only variables set before the load, by name: what `config()` declares. Integers or bigints; bytes for arrays. */
  readonly config?: Readonly<Record<string, number | bigint | boolean | Uint8Array>>;
  /** Maps to use instead of making them, by name (a pinned map that is adopted). Checked against the spec. */
  readonly maps?: Readonly<Record<string, RawMap>>;
  /** Only these programs are loaded. Default all. */
  readonly programs?: readonly string[];
  /** Overrides of `maxEntries`. */
  readonly maxEntries?: Readonly<Record<string, number>>;
}

export interface Collection {
  readonly maps: Readonly<Record<string, RawMap>>;
  readonly programs: Readonly<Record<string, Program>>;
  /** Closes every descriptor; pins and links keep what they hold. */
  close(): void;
}

export interface MapInfo {
  readonly id: number;
  readonly type: string;
  readonly name: string;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
}

/**
 * A live map with keys and values as bytes. Absence is null. Values of per-CPU maps hold one value per possible CPU, each rounded
 * up to eight bytes. Returned arrays are copies.
 */
export interface RawMap {
  readonly info: MapInfo;
  get(key: Uint8Array): Uint8Array | null;
  /** `any` makes or replaces, `new` fails with EEXIST, `existing` with ENOENT. */
  set(key: Uint8Array, value: Uint8Array, mode?: "any" | "new" | "existing"): void;
  /** False where the key was absent. */
  delete(key: Uint8Array): boolean;
  /** The value that was there, which is gone; null where there was none. For hashes, and with an empty key for queues and stacks. */
  take(key: Uint8Array): Uint8Array | null;
  /** For bloom filters: whether the value may be in it. False is certain. */
  mayHold(value: Uint8Array): boolean;
  /** Batched where the kernel can; a snapshot that tolerates concurrent change. */
  entries(): IterableIterator<[key: Uint8Array, value: Uint8Array]>;
  setAll(entries: Iterable<readonly [key: Uint8Array, value: Uint8Array]>): void;
  deleteAll(keys: Iterable<Uint8Array>): void;
  /** For maps of very many entries: the keys that are there, rows of them one behind the other. One may come twice where others are deleted meanwhile. */
  keyRows(): IterableIterator<Uint8Array>;
  /** The same value under each of the keys, which lie one behind the other. */
  setRows(keys: Uint8Array, value: Uint8Array): void;
  /** Absent ones are passed over. */
  deleteRows(keys: Uint8Array): void;
  freeze(): void;
  pin(path: string): void;
  /** For maps of maps: puts `inner` under `key`. */
  setMap(key: Uint8Array, inner: RawMap): void;
  /** As `setMap` for each in turn; the kernel waits for programs at work once instead of each time. */
  setMaps(entries: Iterable<readonly [key: Uint8Array, inner: RawMap]>): void;
  /** For maps of maps: a handle of its own on what stands under `key`, to be closed; null where nothing does. */
  getMap(key: Uint8Array): RawMap | null;
  /** For program arrays. */
  setProgram(key: Uint8Array, program: Program): void;
  /** For ring buffers and perf event arrays: `onRecord` gets a view that is valid only during the call. */
  readRing(onRecord: (record: Uint8Array) => void): RingReader;
  /** As `readRing`, without an object for each record: for readers of some fields. */
  readRingInPlace(onRecord: OnRecordInPlace): RingReader;
  close(): void;
}

/** The record is the `length` bytes at `at` of the view, which holds more than it. Valid only during the call. */
export type OnRecordInPlace = (view: DataView, at: number, length: number) => void;

export interface RingReader {
  /** Reads what is there now; returns how many records. */
  drain(): number;
  /**
   * Calls `drain` whenever the kernel signals, until stopped or closed. `restMs`: and once more so many milliseconds later, for programs that tell
   * their reader no more often than that (`RINGBUF.NO_WAKEUP`).
   */
  start(options?: { readonly restMs?: number }): void;
  /** Undoes `start`: records stay in the ring. Where it is absent a slow reader loses events instead of waiting. */
  stop?(): void;
  /** Records that the kernel threw away because a buffer was full, where it counts them (perf event arrays). */
  readonly lost?: number;
  close(): void;
}

export interface Program {
  readonly name: string;
  readonly info: { readonly id: number; readonly type: string; readonly tag: string };
  pin(path: string): void;
  /** BPF_PROG_TEST_RUN. */
  test(input: TestInput): TestResult;
  close(): void;
}

export interface TestInput {
  readonly data?: Uint8Array;
  readonly context?: Uint8Array;
  readonly repeat?: number;
  /** Bytes of room for the output packet; default the input's length + 256. */
  readonly outputSize?: number;
}

export interface TestResult {
  readonly returned: number;
  readonly data: Uint8Array;
  readonly context: Uint8Array;
  /** Nanoseconds per run. */
  readonly duration: number;
}

/** Where a program stands among the others of its hook. By default behind those that are there. */
export interface Order {
  readonly order?: "first" | "last";
  /** Directly before or after this one. */
  readonly before?: Program | Link;
  readonly after?: Program | Link;
  /** Fails with ESTALE where the hook has changed since it was queried. */
  readonly revision?: bigint;
}

/** A machine that has not the hook throws an error named `NotSupportedError`. */
export type AttachTarget =
  | ({ readonly hook: "tcx"; readonly interface: number; readonly direction: "ingress" | "egress" } & Order)
  /** Default end: `primary`, the side of the namespace that made the pair. */
  | ({ readonly hook: "netkit"; readonly interface: number; readonly end?: "primary" | "peer" } & Order)
  /** `hardware`: on the card itself, where it takes programs. */
  | { readonly hook: "xdp"; readonly interface: number; readonly mode?: "native" | "generic" | "hardware" }
  /** `path`: the cgroup's folder. The program's spec says which cgroup hook, or `attachType` where the program came from a pin. */
  | ({ readonly hook: "cgroup"; readonly path: string; readonly attachType?: string } & Order)
  | { readonly hook: "raw_tracepoint"; readonly name: string; readonly cookie?: bigint }
  | TracingTarget
  | SocketTarget;

export type TracingTarget =
  /** Programs that were bound to a kernel function or tracepoint when they were loaded: tp_btf, fentry, fexit, fmod_ret, lsm. */
  | { readonly hook: "tracing"; readonly cookie?: bigint }
  | { readonly hook: "tracepoint"; readonly category: string; readonly name: string; readonly cookie?: bigint }
  /** `return`: when the function ends. */
  | {
      readonly hook: "kprobe";
      readonly function: string;
      readonly offset?: number;
      readonly return?: boolean;
      readonly cookie?: bigint;
    }
  /** Names may hold `*` and `?`. */
  | {
      readonly hook: "kprobe_multi";
      readonly functions: readonly string[];
      readonly return?: boolean;
      readonly cookies?: readonly bigint[];
    }
  | ({
      readonly hook: "uprobe";
      readonly return?: boolean;
      readonly cookie?: bigint;
      /** Offset of a semaphore that is raised while the probe is on. */
      readonly counter?: number;
    } & UserPlace)
  | {
      readonly hook: "uprobe_multi";
      readonly path: string;
      readonly process?: number;
      /** Names (`*` and `?` allowed), or offsets in the file. */
      readonly places: readonly (string | number)[];
      readonly return?: boolean;
      readonly cookies?: readonly bigint[];
    }
  /** A static probe of a program or library (note `stapsdt`). */
  | {
      readonly hook: "usdt";
      readonly path: string;
      readonly provider: string;
      readonly name: string;
      readonly process?: number;
      readonly cookie?: bigint;
    }
  /** Runs on every overflow of an event, on each CPU or the given one. */
  | { readonly hook: "perf_event"; readonly event: PerfEvent; readonly cookie?: bigint }
  /** A sequence of kernel objects; what the program writes is read with `readIterator`. */
  | {
      readonly hook: "iterator";
      readonly map?: RawMap;
      readonly cgroup?: {
        readonly path: string;
        readonly order: "self" | "descendants_pre" | "descendants_post" | "ancestors_up";
      };
      readonly task?: { readonly pid?: number; readonly tid?: number };
    }
  /** In place of a global function of the program that it was loaded for. */
  | { readonly hook: "freplace"; readonly cookie?: bigint };

/** A place in an executable or library: a function's name, or an offset in the file. `process`: only in that one. */
export type UserPlace = { readonly path: string; readonly process?: number } & (
  { readonly function: string; readonly offset?: number } | { readonly function?: undefined; readonly offset: number }
);

export interface PerfEvent {
  readonly event:
    | "cpu_clock"
    | "task_clock"
    | "page_faults"
    | "context_switches"
    | "cpu_migrations"
    | "cycles"
    | "instructions"
    | "cache_references"
    | "cache_misses"
    | "branches"
    | "branch_misses";
  /** Samples per second, or every so many events. */
  readonly sample: { readonly frequency: number } | { readonly period: number };
  readonly cpu?: number;
  readonly process?: number;
}

export type SocketTarget =
  | {
      readonly hook: "netfilter";
      readonly family: 4 | 6;
      readonly point: "prerouting" | "input" | "forward" | "output" | "postrouting";
      /** Lower runs earlier. */
      readonly priority: number;
      /** Fragments are put together first. */
      readonly defragment?: boolean;
    }
  /** `namespace`: path of the namespace's file; default the machine's own. */
  | { readonly hook: "sk_lookup"; readonly namespace?: string }
  | { readonly hook: "flow_dissector"; readonly namespace?: string }
  /** sk_msg, sk_skb: on the sockets of a sockmap or sockhash. */
  | { readonly hook: "sockmap"; readonly map: RawMap; readonly attachType?: string }
  /** A socket by its descriptor: socket filters, and sk_reuseport for its group. */
  | { readonly hook: "socket"; readonly descriptor: number };

export interface Link {
  readonly info: { readonly id: number; readonly programId: number; readonly type: string };
  /** False once it was detached, or once the device, cgroup or namespace that it was attached to has gone. */
  isAttached(): boolean;
  /** Atomic replacement (BPF_LINK_UPDATE). Throws ENOLINK where it is attached no longer. */
  update(program: Program): void;
  pin(path: string): void;
  detach(): void;
  close(): void;
}

export type { ProgramSpec };

// ---- network ----

/** Interfaces, addresses and routes of the host namespace that the machine was opened on, and of workload namespaces below it. */
export interface NetMachine {
  /** Makes a named network namespace (kept by a file under the machine's run folder) with `lo` up. Fails with EEXIST. */
  createNamespace(name: string): Namespace;
  openNamespace(name: string): Namespace | null;
  deleteNamespace(name: string): void;
  namespaces(): string[];
  readonly host: Namespace;
}

export interface Interface {
  readonly index: number;
  readonly name: string;
  readonly mac: Mac;
  readonly mtu: number;
  readonly up: boolean;
  /** For a veth: the peer's index in its own namespace. */
  readonly peerIndex?: number;
  readonly kind?: string;
}

/** `l3`: without MAC addresses. */
export interface NetkitOptions {
  readonly mode: "l2" | "l3";
  readonly mtu?: number;
}

export type TunnelProtocol = "vxlan" | "geneve";

export interface TunnelOptions {
  readonly protocol: TunnelProtocol;
  /** Of UDP. Default 8472 for VXLAN, as Linux has it, 6081 for Geneve. */
  readonly port?: number;
  readonly mac?: Mac;
  readonly mtu?: number;
}

/** UDP ports that tunnels end at where nobody says another. */
export const TUNNEL_PORTS: Readonly<Record<TunnelProtocol, number>> = { vxlan: 8472, geneve: 6081 };

export interface Namespace {
  readonly name: string;
  /** Path of the namespace file. */
  readonly path: string;
  /** SO_NETNS_COOKIE: what bpf_get_netns_cookie gives. */
  readonly cookie: bigint;
  interfaces(): Interface[];
  interface(name: string): Interface | null;
  /** Both ends down, without addresses. */
  createVeth(
    name: string,
    peer: { readonly namespace: Namespace; readonly name: string; readonly mac?: Mac },
    options?: { readonly mac?: Mac; readonly mtu?: number },
  ): { host: Interface; peer: Interface };
  /**
   * A pair of devices, both down, whose programs stand where one hands a packet to the other (hook `netkit`): the first is the primary one. What a workload's
   * end sends passes once a program says so. Throws an error named `NotSupportedError` where the machine has none.
   */
  createNetkit(
    name: string,
    peer: { readonly namespace: Namespace; readonly name: string },
    options: NetkitOptions,
  ): { host: Interface; peer: Interface };
  /** A device of tunnels, down, whose ends come with each packet (bpf_skb_set_tunnel_key). Throws where the machine has no such protocol. */
  createTunnel(name: string, options: TunnelOptions): Interface;
  deleteInterface(name: string): boolean;
  setUp(index: number, up: boolean): void;
  addAddress(index: number, prefix: Prefix): void;
  addresses(): { readonly index: number; readonly prefix: Prefix }[];
  addRoute(route: Route): void;
  deleteRoute(route: Route): boolean;
  routes(): Route[];
  /** Permanent neighbour entry. */
  addNeighbour(index: number, address: Address, mac: Mac): void;
  /** Those whose MAC address is known, given or found, in no order. */
  neighbours(): Neighbour[];
  /** Tells whether interfaces, routes and neighbours need a look. To be closed. */
  watchWays(): WayWatch;
  /** Such as `net/ipv6/conf/all/disable_ipv6`. */
  setSysctl(name: string, value: string): void;
  /** Ends connected sockets from outside, as `ss -K` does: their owners get ECONNABORTED. How many there were. Throws EOPNOTSUPP where the kernel cannot. */
  endSockets(protocol: ConnectedSocket["protocol"], isMeant: (socket: ConnectedSocket) => boolean): number;
}

export interface WayWatch {
  /** False: interfaces, routes and neighbours are as they were when this was asked last, or the watch began. */
  changed(): boolean;
  close(): void;
}

export interface ConnectedSocket {
  readonly protocol: "tcp" | "udp";
  /** SO_COOKIE: what bpf_get_socket_cookie gives. */
  readonly cookie: bigint;
  /** Also of an IPv6 socket that speaks with IPv4: that one's. */
  readonly peer: Address;
  readonly peerPort: number;
}

export interface Neighbour {
  /** Of the interface. */
  readonly index: number;
  readonly address: Address;
  readonly mac: Mac;
}

export interface Route {
  readonly destination: Prefix;
  readonly gateway?: Address;
  readonly interface: number;
  readonly scope?: "universe" | "link" | "host";
  readonly source?: Address;
  readonly mtu?: number;
}

// ---- processes ----

export interface ProcessMachine {
  /** Makes the cgroup's folder (and its parents below the root) and gives its absolute path and id. */
  createCgroup(path: string): { path: string; id: bigint };
  /** Ends every process in it, waits until it is empty, and removes it. */
  deleteCgroup(path: string): Promise<void>;
  /** Absolute path of the cgroup2 mount. */
  readonly cgroupRoot: string;
  /** How many processes are in the cgroup and below; null where it does not exist. */
  cgroupProcesses(path: string): number[] | null;
  /** Gives what this process holds of memory and does not use back to the machine. May take some tenths of a second. */
  giveBackMemory(): void;
}
