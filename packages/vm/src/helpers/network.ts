import type { Cpu } from "../cpu.ts";
import { Trap, errno } from "../error.ts";
import type { FibQuery, SocketQuery } from "../host.ts";
import { SocketMap } from "../maps/slots.ts";
import { CgroupStorage, StorageMap } from "../maps/storage.ts";
import type { VmMap } from "../maps/map.ts";
import { wordBytes } from "../maps/map.ts";
import type { KernelObject } from "../object.ts";
import type { HelperMachine, HelperRows } from "./machine.ts";
import { mapOf, objectOf, socketOf } from "./machine.ts";

/** Routes, sockets and storages (net/core/filter.c, sock_map.c, kernel/bpf/bpf_local_storage.c), by number. */
export function networkHelpers(machine: HelperMachine): HelperRows {
  const related = (which: "listener" | "full" | "tcp") => (cpu: Cpu) => {
    const socket = objectOf(machine, cpu, 1);
    return socket === null ? 0 : (machine.host.relatedSocket?.(socket, which)?.address ?? 0);
  };
  return [
    [46, (cpu) => machine.host.socketCookie?.(socketOf(machine, cpu, 1)) ?? 0n],
    [47, () => machine.host.socketUid?.() ?? 65_534],
    [49, (cpu) => socketOption(machine, cpu, "set")],
    [57, (cpu) => socketOption(machine, cpu, "get")],
    [64, (cpu) => machine.host.bind?.(machine.memory.read(cpu.pointer(2), cpu.u32(3)).slice()) ?? -errno.EOPNOTSUPP],
    [69, (cpu) => fibLookup(machine, cpu)],
    [84, (cpu) => findSocket(machine, cpu, { protocol: "tcp", anyState: false })],
    [85, (cpu) => findSocket(machine, cpu, { protocol: "udp", anyState: false })],
    [86, (cpu) => releaseSocket(machine, cpu)],
    [95, related("full")],
    [96, related("tcp")],
    [98, related("listener")],
    [99, (cpu) => findSocket(machine, cpu, { protocol: "tcp", anyState: true })],
    [122, () => machine.host.netnsCookie ?? 1n],
    [124, (cpu) => machine.host.assignSocket?.(objectOf(machine, cpu, 2), cpu.u64(3)) ?? -errno.EOPNOTSUPP],
    // Casts: the machine's socket is laid out as the program's BTF says.
    ...([136, 137, 138, 139, 140, 178, 196] as const).map((id) => [id, (cpu: Cpu) => cpu.pointer(1)] as const),
    ...socketMapHelpers(machine),
    ...storageHelpers(machine),
  ];
}

/** sizeof(struct bpf_fib_lookup) */
const FIB_BYTES = 64;
/** BPF_FIB_LKUP_RET_NOT_FWDED, BPF_FIB_LKUP_RET_FRAG_NEEDED */
const NOT_FORWARDED = 4;
const FRAG_NEEDED = 8;
const SKIP_NEIGHBOUR = 4;
const WITH_TABLE = 8;
const WITH_SOURCE = 16;
const WITH_MARK = 32;

function fibLookup(machine: HelperMachine, cpu: Cpu): number {
  const at = cpu.pointer(2);
  const flags = cpu.u32(4);
  if (cpu.u32(3) < FIB_BYTES || (flags & ~0x3f) !== 0) return -errno.EINVAL;
  const { memory, host } = machine;
  memory.check(at, FIB_BYTES, true);
  const query = fibQuery(machine, at, flags);
  if (query === null) return -errno.EAFNOSUPPORT;
  const answer = host.fibLookup?.(query) ?? { result: NOT_FORWARDED };
  if (answer.result === FRAG_NEEDED && answer.mtu !== undefined) memory.view.setUint16(at + 6, answer.mtu, true);
  if (answer.result !== 0) return answer.result;
  const { view, bytes } = memory;
  if (answer.mtu !== undefined) view.setUint16(at + 6, answer.mtu, true);
  view.setUint32(at + 8, answer.interfaceIndex ?? query.interfaceIndex, true);
  view.setUint32(at + 12, answer.metric ?? 0, true);
  const size = answer.gateway?.length ?? 0;
  if (answer.gateway !== undefined) {
    bytes.set(answer.gateway, at + 32);
    view.setUint8(at, size === 4 ? 2 : 10);
  }
  if (answer.source !== undefined && (flags & WITH_SOURCE) !== 0) bytes.set(answer.source, at + 16);
  if ((flags & SKIP_NEIGHBOUR) !== 0) return 0;
  bytes.fill(0, at + 48, at + FIB_BYTES);
  bytes.set(answer.sourceMac ?? new Uint8Array(6), at + 52);
  bytes.set(answer.destinationMac ?? new Uint8Array(6), at + 58);
  return 0;
}

function fibQuery(machine: HelperMachine, at: number, flags: number): FibQuery | null {
  const { view, bytes } = machine.memory;
  const family = view.getUint8(at);
  if (family !== 2 && family !== 10) return null;
  const size = family === 2 ? 4 : 16;
  return {
    family,
    protocol: view.getUint8(at + 1),
    sourcePort: view.getUint16(at + 2),
    destinationPort: view.getUint16(at + 4),
    totalLength: view.getUint16(at + 6, true),
    interfaceIndex: view.getUint32(at + 8, true),
    tos: family === 2 ? view.getUint8(at + 12) : 0,
    source: bytes.slice(at + 16, at + 16 + size),
    destination: bytes.slice(at + 32, at + 32 + size),
    flags,
    table: (flags & WITH_TABLE) === 0 ? 0 : view.getUint32(at + 48, true),
    mark: (flags & WITH_MARK) === 0 ? 0 : view.getUint32(at + 52, true),
  };
}

/** The tuple's size says the family. */
function findSocket(machine: HelperMachine, cpu: Cpu, how: Pick<SocketQuery, "protocol" | "anyState">): number {
  const size = cpu.u32(3);
  const bytes = machine.memory.read(cpu.pointer(2), size).slice();
  if (size !== 12 && size !== 36) return 0;
  const address = size === 12 ? 4 : 16;
  const view = new DataView(bytes.buffer);
  const found = machine.host.findSocket?.({
    ...how,
    source: bytes.slice(0, address),
    destination: bytes.slice(address, address * 2),
    sourcePort: view.getUint16(address * 2),
    destinationPort: view.getUint16(address * 2 + 2),
    namespace: BigInt.asIntN(32, cpu.u64(4)),
    flags: cpu.u64(5),
  });
  return found?.address ?? 0;
}

function releaseSocket(machine: HelperMachine, cpu: Cpu): number {
  const socket = objectOf(machine, cpu, 1);
  if (socket !== null) machine.host.releaseSocket?.(socket);
  return 0;
}

function socketOption(machine: HelperMachine, cpu: Cpu, how: "get" | "set"): number {
  const { memory, host, state } = machine;
  const size = cpu.u32(5);
  const at = memory.check(cpu.pointer(4), size, how === "get");
  const value = memory.bytes.slice(at, at + size);
  const socket = cpu.pointer(1) === state.context.base ? null : objectOf(machine, cpu, 1);
  const request = { how, socket, level: cpu.s32(2), option: cpu.s32(3), value };
  const result = host.socketOption?.(request) ?? -errno.EOPNOTSUPP;
  if (how === "get") memory.bytes.set(result === 0 ? value : new Uint8Array(size), at);
  return result;
}

// ---- sockmaps ----

function socketMap(map: VmMap): SocketMap {
  if (!(map instanceof SocketMap)) throw new Trap("argument", `map ${map.spec.name} holds no sockets`);
  return map;
}

const SK = { drop: 0, pass: 1 } as const;

function socketMapHelpers(machine: HelperMachine): HelperRows {
  const keyAt = (cpu: Cpu, map: VmMap, register: number): Uint8Array =>
    machine.memory.read(cpu.pointer(register), map.spec.keySize).slice();
  const update = (cpu: Cpu): number => {
    const map = socketMap(mapOf(machine, cpu, 2));
    const { socket } = machine.host;
    if (socket === undefined || socket === null) return -errno.EOPNOTSUPP;
    return map.put(keyAt(cpu, map, 3), socket, cpu.u64(4));
  };
  const send = (cpu: Cpu, key: (map: SocketMap) => Uint8Array): number => {
    const map = socketMap(mapOf(machine, cpu, 2));
    const flags = cpu.u64(4);
    if ((flags & ~1n) !== 0n) return SK.drop;
    const socket = map.socketAt(key(map));
    if (socket === null) return SK.drop;
    machine.state.redirect = { helper: "sk_redirect", target: 0, flags, socket };
    return SK.pass;
  };
  const byIndex = (cpu: Cpu): number => send(cpu, () => wordBytes(cpu.u32(3)));
  const byKey = (cpu: Cpu): number => send(cpu, (map) => keyAt(cpu, map, 3));
  return [
    [52, byIndex],
    [53, update],
    [60, byIndex],
    [70, update],
    [71, byKey],
    [72, byKey],
    [
      82,
      (cpu) => {
        const map = socketMap(mapOf(machine, cpu, 2));
        const socket = map.socketAt(keyAt(cpu, map, 3));
        if (socket === null) return -errno.ENOENT;
        machine.state.redirect = { helper: "sk_redirect", target: 0, flags: 0n, socket };
        return 0;
      },
    ],
  ];
}

// ---- storages ----

function storageHelpers(machine: HelperMachine): HelperRows {
  const storage = (cpu: Cpu): StorageMap => {
    const map = mapOf(machine, cpu, 1);
    if (!(map instanceof StorageMap)) throw new Trap("argument", `map ${map.spec.name} is no storage`);
    return map;
  };
  const get = (find: (cpu: Cpu) => KernelObject | null) => (cpu: Cpu) => {
    const map = storage(cpu);
    const object = find(cpu);
    const initial = cpu.pointer(3);
    if (object === null) return 0;
    const bytes = initial === 0 ? null : machine.memory.read(initial, map.spec.valueSize).slice();
    return map.of(object, cpu.u64(4), bytes);
  };
  const remove = (find: (cpu: Cpu) => KernelObject | null) => (cpu: Cpu) => {
    const object = find(cpu);
    return object === null ? -errno.EINVAL : storage(cpu).removeFrom(object);
  };
  const socket = (cpu: Cpu): KernelObject | null => socketOf(machine, cpu, 2);
  const object = (cpu: Cpu): KernelObject | null => objectOf(machine, cpu, 2);
  return [
    [81, (cpu) => localStorage(machine, cpu)],
    [107, get(socket)],
    [108, remove(socket)],
    ...([145, 156, 210] as const).map((id) => [id, get(object)] as const),
    ...([146, 157, 211] as const).map((id) => [id, remove(object)] as const),
  ];
}

/** bpf_get_local_storage: of the cgroup that the program runs for. */
function localStorage(machine: HelperMachine, cpu: Cpu): number {
  const map = mapOf(machine, cpu, 1);
  if (!(map instanceof CgroupStorage)) throw new Trap("argument", `map ${map.spec.name} is no cgroup storage`);
  const cgroup = machine.host.cgroupOf?.("packet") ?? machine.host.task?.cgroup;
  return map.of(cgroup?.id ?? 1n);
}
