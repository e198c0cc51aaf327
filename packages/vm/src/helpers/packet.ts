import type { Cpu } from "../cpu.ts";
import { Trap, errno } from "../error.ts";
import { wordBytes } from "../maps/map.ts";
import type { Redirect } from "../run-state.ts";
import { foldSum } from "./core.ts";
import type { HelperMachine, HelperRows } from "./machine.ts";
import { mapOf } from "./machine.ts";

const ETH_HLEN = 14;
/** sizeof(struct xdp_frame): it stands at the start of the headroom. */
const XDP_FRAME = 40;
const XDP = { aborted: 0, redirect: 4 } as const;
const TC = { shot: 2, redirect: 7 } as const;
const INGRESS = 1n;
/** BPF_F_BROADCAST */
const BROADCAST = 8n;

/** Helpers of xdp and tc programs (net/core/filter.c), by number. */
export function packetHelpers(machine: HelperMachine): HelperRows {
  return [
    [9, (cpu) => storeBytes(machine, cpu)],
    [10, (cpu) => replaceChecksum(machine, cpu, "l3")],
    [11, (cpu) => replaceChecksum(machine, cpu, "l4")],
    [13, (cpu) => cloneRedirect(machine, cpu)],
    [23, (cpu) => redirect(machine, cpu)],
    [26, (cpu) => loadBytes(machine, cpu, 0)],
    [44, (cpu) => adjustHead(machine, cpu.s32(2))],
    [51, (cpu) => redirectMap(machine, cpu)],
    [54, (cpu) => adjustMeta(machine, cpu.s32(2))],
    [65, (cpu) => adjustTail(machine, cpu.s32(2))],
    [68, (cpu) => loadRelative(machine, cpu)],
    [152, (cpu) => redirectNeighbour(machine, cpu)],
    [155, (cpu) => verdict(machine, { helper: "redirect_peer", target: cpu.u32(1), flags: flagsOf(cpu, 2) }, 0n)],
    [188, () => machine.state.length],
    [189, (cpu) => copyPacket(machine, cpu, "load")],
    [190, (cpu) => copyPacket(machine, cpu, "store")],
  ];
}

/** Most calls have none. */
function flagsOf(cpu: Cpu, register: number): bigint {
  return cpu.u32(register) === 0 && cpu.high(register) === 0 ? 0n : cpu.u64(register);
}

/** Flags that are not allowed make the verdict a drop. */
function verdict(machine: HelperMachine, wanted: Redirect, allowed: bigint): number {
  const { state: run } = machine;
  const xdp = run.shape?.kind === "xdp";
  if ((wanted.flags & ~allowed) !== 0n) return xdp ? XDP.aborted : TC.shot;
  run.redirect = wanted;
  return xdp ? XDP.redirect : TC.redirect;
}

function redirect(machine: HelperMachine, cpu: Cpu): number {
  const allowed = machine.state.shape?.kind === "xdp" ? 0n : INGRESS;
  return verdict(machine, { helper: "redirect", target: cpu.u32(1), flags: flagsOf(cpu, 2) }, allowed);
}

/** bpf_redirect_neigh: its parameters are none or whole. */
function redirectNeighbour(machine: HelperMachine, cpu: Cpu): number {
  const size = cpu.u32(3);
  if (size !== 0 && size < 20) return TC.shot;
  const wanted: Redirect = { helper: "redirect_neigh", target: cpu.u32(1), flags: cpu.u64(4) };
  if (size === 0) return verdict(machine, wanted, 0n);
  return verdict(machine, { ...wanted, neighbour: machine.memory.read(cpu.pointer(2), size).slice() }, 0n);
}

/** __bpf_xdp_redirect_map: without an entry the low bits of the flags are the verdict. */
function redirectMap(machine: HelperMachine, cpu: Cpu): number {
  const map = mapOf(machine, cpu, 1);
  const flags = cpu.u64(3);
  const isDevice = map.spec.type.startsWith("devmap");
  // BPF_F_BROADCAST and BPF_F_EXCLUDE_INGRESS beside the action.
  if ((flags & ~(isDevice ? 0x1bn : 3n)) !== 0n) return XDP.aborted;
  const key = cpu.u32(2);
  if (isDevice && (flags & BROADCAST) !== 0n) {
    machine.state.redirect = { helper: "redirect_map", target: 0, flags, map, key };
    return XDP.redirect;
  }
  const address = map.lookup(wordBytes(key));
  const { view } = machine.memory;
  const target = address === 0 ? 0 : view.getUint32(address, true);
  if (address === 0) return Number(flags & 3n);
  const program = map.spec.valueSize >= 8 ? view.getUint32(address + 4, true) : 0;
  machine.state.redirect = { helper: "redirect_map", target, flags, map, key, program };
  return XDP.redirect;
}

function cloneRedirect(machine: HelperMachine, cpu: Cpu): number {
  const flags = cpu.u64(3);
  const target = cpu.u32(2);
  const { state, host, memory } = machine;
  if ((flags & ~INGRESS) !== 0n) return -errno.EINVAL;
  if (host.mtu !== undefined && host.mtu(target) === null) return -errno.EINVAL;
  const packet = memory.bytes.slice(state.data, state.dataEnd);
  state.clones.push({ helper: "clone_redirect", target, flags, packet });
  return host.sendClone?.(packet, target, flags === INGRESS) ?? 0;
}

/** bpf_skb_load_bytes: what cannot be read is zeroed. `from`: bytes of the packet that are left out. */
function loadBytes(machine: HelperMachine, cpu: Cpu, from: number): number {
  const { memory, state: run } = machine;
  const offset = cpu.u32(2);
  const size = cpu.u32(4);
  const to = memory.check(cpu.pointer(3), size, true);
  const start = run.data + from + offset;
  if (offset > 0x7fff_ffff || start + size > run.dataEnd) {
    memory.bytes.fill(0, to, to + size);
    return -errno.EFAULT;
  }
  memory.bytes.copyWithin(to, start, start + size);
  return 0;
}

/** bpf_skb_load_bytes_relative: from the MAC header (0) or the network header (1). */
function loadRelative(machine: HelperMachine, cpu: Cpu): number {
  const start = cpu.u32(5);
  if (start <= 1) return loadBytes(machine, cpu, start === 0 ? 0 : ETH_HLEN);
  const size = cpu.u32(4);
  const to = machine.memory.check(cpu.pointer(3), size, true);
  machine.memory.bytes.fill(0, to, to + size);
  return -errno.EFAULT;
}

function storeBytes(machine: HelperMachine, cpu: Cpu): number {
  const { memory, state: run } = machine;
  const offset = cpu.u32(2);
  const size = cpu.u32(4);
  if (cpu.high(5) !== 0 || cpu.u32(5) > 3) return -errno.EINVAL;
  const from = memory.check(cpu.pointer(3), size, false);
  if (offset > 0x7fff_ffff || run.data + offset + size > run.dataEnd) return -errno.EFAULT;
  memory.bytes.copyWithin(run.data + offset, from, from + size);
  return 0;
}

/** bpf_xdp_load_bytes and bpf_xdp_store_bytes */
function copyPacket(machine: HelperMachine, cpu: Cpu, how: "load" | "store"): number {
  const { memory, state: run } = machine;
  const offset = cpu.u32(2);
  const size = cpu.u32(4);
  const buffer = memory.check(cpu.pointer(3), size, how === "load");
  if (offset > 0xffff || size > 0xffff || run.data + offset + size > run.dataEnd) return -errno.EINVAL;
  const place = run.data + offset;
  if (how === "load") memory.bytes.copyWithin(buffer, place, place + size);
  else memory.bytes.copyWithin(place, buffer, buffer + size);
  return 0;
}

const MANGLED_0 = 0x20;

/** bpf_l3_csum_replace and bpf_l4_csum_replace: RFC 1624. */
function replaceChecksum(machine: HelperMachine, cpu: Cpu, layer: "l3" | "l4"): number {
  const { memory, state: run } = machine;
  const offset = cpu.u32(2);
  const flags = cpu.u32(5);
  if (cpu.high(5) !== 0 || (flags & ~(layer === "l3" ? 0xf : 0xff)) !== 0) return -errno.EINVAL;
  if (offset > 0xffff || (offset & 1) !== 0 || run.data + offset + 2 > run.dataEnd) return -errno.EFAULT;
  const size = flags & 0xf;
  if (size !== 0 && size !== 2 && size !== 4) return -errno.EINVAL;
  const from = cpu.u32(3);
  if (size === 0 && (from !== 0 || cpu.high(3) !== 0)) return -errno.EINVAL;
  const place = run.data + offset;
  const old = memory.view.getUint16(place, true);
  const mangled = layer === "l4" && (flags & MANGLED_0) !== 0;
  if (mangled && old === 0 && (flags & 0x40) === 0) return 0;
  const mask = size === 2 ? 0xffff : 0xffff_ffff;
  const removed = size === 0 ? 0 : (~from & mask) >>> 0;
  const added = (cpu.u32(4) & mask) >>> 0;
  const sum = ~foldSum((~old & 0xffff) + removed + added) & 0xffff;
  memory.view.setUint16(place, mangled && sum === 0 ? 0xffff : sum, true);
  return 0;
}

/** bpf_xdp_adjust_head: metadata moves with the packet's start. */
function adjustHead(machine: HelperMachine, delta: number): number {
  const { state: run } = machine;
  const metaSize = run.data - run.meta;
  const data = run.data + delta;
  if (data < run.packet.base + XDP_FRAME + metaSize || data > run.dataEnd - ETH_HLEN) return -errno.EINVAL;
  if (metaSize > 0) machine.memory.bytes.copyWithin(run.meta + delta, run.meta, run.meta + metaSize);
  run.data = data;
  run.meta += delta;
  run.publish();
  return 0;
}

/** bpf_xdp_adjust_meta: at most 252 bytes, in words. */
function adjustMeta(machine: HelperMachine, delta: number): number {
  const { state: run } = machine;
  if (run.shape?.kind !== "xdp") throw new Trap("argument", "xdp_adjust_meta in a program that is none of xdp");
  const meta = run.meta + delta;
  const size = run.data - meta;
  if (meta < run.packet.base + XDP_FRAME || meta > run.data) return -errno.EINVAL;
  if ((size & 3) !== 0 || size > 252) return -errno.EACCES;
  run.meta = meta;
  run.publish();
  return 0;
}

/** bpf_xdp_adjust_tail: what is added is zero. */
function adjustTail(machine: HelperMachine, delta: number): number {
  const { state: run, memory } = machine;
  const end = run.dataEnd + delta;
  if (end > run.packet.base + run.packet.capacity) return -errno.EINVAL;
  if (end < run.data + ETH_HLEN) return -errno.EINVAL;
  if (delta > 0) memory.bytes.fill(0, run.dataEnd, end);
  run.dataEnd = end;
  run.publish();
  return 0;
}
