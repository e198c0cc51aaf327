import type { Cpu } from "../cpu.ts";
import { errno } from "../error.ts";
import { skb } from "../run-state.ts";
import type { HelperMachine, HelperRows } from "./machine.ts";

const ETH_HLEN = 14;
const ETH = { ipv4: 0x0800, ipv6: 0x86dd, vlan: 0x8100, vlanAd: 0x88a8 } as const;

/** Helpers that change the shape of an skb or what it carries (net/core/filter.c), by number. */
export function skbHelpers(machine: HelperMachine): HelperRows {
  const { memory } = machine;
  return [
    [18, (cpu) => pushVlan(machine, swap16(cpu.u32(2) & 0xffff), cpu.u32(3) & 0xffff)],
    [19, () => popVlan(machine)],
    [24, () => machine.host.routeRealm ?? 0],
    [31, (cpu) => changeProtocol(machine, swap16(cpu.u32(2) & 0xffff), cpu.u64(3))],
    [32, (cpu) => changeType(machine, cpu.u32(2))],
    [34, () => flowHash(machine)],
    [38, (cpu) => changeTail(machine, cpu)],
    [39, (cpu) => (cpu.u32(2) > machine.state.length ? -errno.ENOMEM : 0)],
    // Only packets with a whole checksum from the device have one to update, and here none has.
    [40, () => -errno.ENOTSUPP],
    [41, () => setHash(machine, 0)],
    [43, (cpu) => changeHead(machine, cpu)],
    [48, (cpu) => setHash(machine, cpu.u32(2))],
    [50, (cpu) => adjustRoom(machine, cpu)],
    [97, () => setCongestion(machine)],
    [135, (cpu) => (cpu.u64(2) > 3n ? -errno.EINVAL : cpu.u64(2) === 0n ? -errno.EACCES : 0)],
    [163, (cpu) => checkMtu(machine, cpu)],
    [
      192,
      (cpu) => {
        const type = cpu.u32(3);
        if (type > 1) return -errno.EINVAL;
        // BPF_SKB_TSTAMP_UNSPEC has no time.
        if (type === 0 && cpu.u64(2) !== 0n) return -errno.EINVAL;
        const { base } = machine.state.context;
        memory.view.setBigUint64(base + skb.tstamp, cpu.u64(2), true);
        memory.view.setUint8(base + skb.tstampType, type);
        return 0;
      },
    ],
  ];
}

function swap16(value: number): number {
  return ((value & 0xff) << 8) | (value >>> 8);
}

/** skb->protocol, host order. */
function protocolOf(machine: HelperMachine): number {
  return swap16(machine.state.member(skb.protocol) & 0xffff);
}

function setProtocol(machine: HelperMachine, protocol: number): void {
  machine.state.setMember(skb.protocol, swap16(protocol));
}

/** Makes room (or takes it) `offset` bytes behind the packet's start; what is new is zero. False where there is none. */
function insert(machine: HelperMachine, offset: number, count: number): boolean {
  const { state: run, memory } = machine;
  if (run.data - count < run.packet.base || offset > run.length) return false;
  memory.bytes.copyWithin(run.data - count, run.data, run.data + offset);
  run.data -= count;
  run.meta = run.data;
  if (count > 0) memory.bytes.fill(0, run.data + offset, run.data + offset + count);
  run.publish();
  return true;
}

function remove(machine: HelperMachine, offset: number, count: number): boolean {
  const { state: run, memory } = machine;
  if (offset + count > run.length) return false;
  memory.bytes.copyWithin(run.data + count, run.data, run.data + offset);
  run.data += count;
  run.meta = run.data;
  run.publish();
  return true;
}

function isVlan(protocol: number): boolean {
  return protocol === ETH.vlan || protocol === ETH.vlanAd;
}

/** bpf_skb_vlan_push: the outer tag stands beside the packet, one that was there goes into it. */
function pushVlan(machine: HelperMachine, protocol: number, tci: number): number {
  const { state: run, memory } = machine;
  const tag = isVlan(protocol) ? protocol : ETH.vlan;
  if (run.member(skb.vlanPresent) !== 0) {
    const old = { protocol: swap16(run.member(skb.vlanProtocol) & 0xffff), tci: run.member(skb.vlanTci) & 0xffff };
    if (!insert(machine, 12, 4)) return -errno.ENOMEM;
    memory.view.setUint16(run.data + 12, old.protocol);
    memory.view.setUint16(run.data + 14, old.tci);
    setProtocol(machine, old.protocol);
  }
  run.setMember(skb.vlanPresent, 1);
  run.setMember(skb.vlanTci, tci);
  run.setMember(skb.vlanProtocol, swap16(tag));
  return 0;
}

/** The tag in the packet's bytes, which is gone then; -1 where the packet is too short. */
function popInner(machine: HelperMachine): number {
  const { state: run, memory } = machine;
  if (run.length < ETH_HLEN + 4) return -1;
  const tci = memory.view.getUint16(run.data + 14);
  if (!remove(machine, 12, 4)) return -1;
  setProtocol(machine, memory.view.getUint16(run.data + 12));
  return tci;
}

/** skb_vlan_pop */
function popVlan(machine: HelperMachine): number {
  const { state: run } = machine;
  if (run.member(skb.vlanPresent) !== 0) {
    for (const member of [skb.vlanPresent, skb.vlanTci, skb.vlanProtocol]) run.setMember(member, 0);
  } else {
    if (!isVlan(protocolOf(machine))) return 0;
    if (popInner(machine) < 0) return -errno.ENOMEM;
  }
  const protocol = protocolOf(machine);
  if (!isVlan(protocol)) return 0;
  const tci = popInner(machine);
  if (tci < 0) return -errno.ENOMEM;
  run.setMember(skb.vlanPresent, 1);
  run.setMember(skb.vlanTci, tci);
  run.setMember(skb.vlanProtocol, swap16(protocol));
  return 0;
}

/** bpf_skb_change_proto: room for the other header; the program writes it. */
function changeProtocol(machine: HelperMachine, protocol: number, flags: bigint): number {
  if (flags !== 0n) return -errno.EINVAL;
  const from = protocolOf(machine);
  let done = false;
  if (from === ETH.ipv4 && protocol === ETH.ipv6) done = insert(machine, ETH_HLEN, 20);
  else if (from === ETH.ipv6 && protocol === ETH.ipv4) done = remove(machine, ETH_HLEN, 20);
  else return -errno.ENOTSUPP;
  if (!done) return -errno.ENOMEM;
  setProtocol(machine, protocol);
  setHash(machine, 0);
  return 0;
}

/** PACKET_HOST to PACKET_OTHERHOST. */
function changeType(machine: HelperMachine, type: number): number {
  if (type > 3 || machine.state.member(skb.packetType) > 3) return -errno.EINVAL;
  machine.state.setMember(skb.packetType, type);
  return 0;
}

function setHash(machine: HelperMachine, hash: number): number {
  machine.state.setMember(skb.hash, hash);
  return 0;
}

/** bpf_get_hash_recalc: any hash of the flow will do, as long as it stays. */
function flowHash(machine: HelperMachine): number {
  const { state: run, memory } = machine;
  const known = run.member(skb.hash);
  if (known !== 0) return known;
  const isV6 = protocolOf(machine) === ETH.ipv6;
  // Addresses, then ports where the header has no options.
  const [from, to] = isV6 ? [22, 58] : [26, 38];
  let hash = 0x811c_9dc5;
  for (let at = from; at < Math.min(to, run.length); at++) {
    hash = Math.imul(hash ^ (memory.bytes[run.data + at] ?? 0), 0x0100_0193);
  }
  hash = hash >>> 0 || 1;
  setHash(machine, hash);
  return hash;
}

/** bpf_skb_change_tail */
function changeTail(machine: HelperMachine, cpu: Cpu): number {
  const { state: run, memory } = machine;
  const size = cpu.u32(2);
  if (cpu.u64(3) !== 0n || size < ETH_HLEN || run.data + size > run.packet.base + run.packet.capacity) {
    return -errno.EINVAL;
  }
  const end = run.data + size;
  if (end > run.dataEnd) memory.bytes.fill(0, run.dataEnd, end);
  run.dataEnd = end;
  run.publish();
  return 0;
}

/** bpf_skb_change_head */
function changeHead(machine: HelperMachine, cpu: Cpu): number {
  const room = cpu.u32(2);
  if (cpu.u64(3) !== 0n || room > 0xffff) return -errno.EINVAL;
  return insert(machine, 0, room) ? 0 : -errno.ENOMEM;
}

const room = {
  net: 0,
  mac: 1,
  encapV4: 2n,
  encapV6: 4n,
  decapV4: 0x80n,
  decapV6: 0x100n,
  allFlags: 0xff00_0000_0000_01ffn,
} as const;

/** bpf_skb_adjust_room: behind the MAC header, or behind the network header. */
function adjustRoom(machine: HelperMachine, cpu: Cpu): number {
  const { state: run } = machine;
  const delta = cpu.s32(2);
  const mode = cpu.u32(3);
  const flags = cpu.u64(4);
  const size = Math.abs(delta);
  const decap = flags & (room.decapV4 | room.decapV6);
  if ((flags & ~room.allFlags) !== 0n || (decap !== 0n && delta > 0)) return -errno.EINVAL;
  if (size > 0xfff) return -errno.EFAULT;
  const from = protocolOf(machine);
  if (from !== ETH.ipv4 && from !== ETH.ipv6) return -errno.ENOTSUPP;
  const header = from === ETH.ipv4 ? 20 : 40;
  if (mode !== room.net && mode !== room.mac) return -errno.ENOTSUPP;
  const offset = ETH_HLEN + (mode === room.net ? header : 0);
  if (delta < 0) {
    const least = decap === 0n ? header : decap === room.decapV4 ? 20 : 40;
    if (size >= run.length - ETH_HLEN || run.length - ETH_HLEN - size < least) return -errno.ENOTSUPP;
    if (!remove(machine, offset, size)) return -errno.ENOMEM;
    if (decap !== 0n) setProtocol(machine, decap === room.decapV4 ? ETH.ipv4 : ETH.ipv6);
    return 0;
  }
  if (!insert(machine, offset, size)) return -errno.ENOMEM;
  if ((flags & room.encapV6) !== 0n) setProtocol(machine, ETH.ipv6);
  else if ((flags & room.encapV4) !== 0n) setProtocol(machine, ETH.ipv4);
  return 0;
}

/** bpf_skb_ecn_set_ce: 1 where the packet bears the mark now. */
function setCongestion(machine: HelperMachine): number {
  const { state: run, memory } = machine;
  const at = run.data + ETH_HLEN;
  const outer = protocolOf(machine);
  // INET_ECN_set_ce looks behind a tag for the protocol, not for the header.
  const protocol = isVlan(outer) && run.length >= ETH_HLEN + 4 ? memory.view.getUint16(at + 2) : outer;
  if (protocol === ETH.ipv4 && run.length >= ETH_HLEN + 20) {
    const tos = memory.bytes[at + 1] ?? 0;
    if ((tos & 3) === 0 || (tos & 3) === 3) return (tos & 3) === 0 ? 0 : 1;
    // IP_ECN_set_ce: the checksum is brought forward, not made anew.
    const sum = memory.view.getUint16(at + 10) + 0xfffb + (((tos & 3) + 1) & 3);
    memory.view.setUint16(at + 10, (sum & 0xffff) + (sum > 0xffff ? 1 : 0));
    memory.bytes[at + 1] = tos | 3;
    return 1;
  }
  if (protocol !== ETH.ipv6 || run.length < ETH_HLEN + 40) return 0;
  const low = memory.bytes[at + 1] ?? 0;
  if ((low & 0x30) === 0) return 0;
  memory.bytes[at + 1] = low | 0x30;
  return 1;
}

/** bpf_skb_check_mtu and bpf_xdp_check_mtu: 0 where it fits, 1 where it does not. */
function checkMtu(machine: HelperMachine, cpu: Cpu): number {
  const { state: run, memory, host } = machine;
  const flags = cpu.u64(5);
  const isXdp = run.shape?.kind === "xdp";
  if ((flags & ~(isXdp ? 0n : 1n)) !== 0n) return -errno.EINVAL;
  const at = memory.check(cpu.pointer(3), 4, true);
  const wanted = memory.view.getUint32(at, true);
  const index = cpu.u32(2);
  const mtu = host.mtu?.(index === 0 ? run.member(isXdp ? 12 : skb.interface) : index) ?? null;
  if (mtu === null) return -errno.ENODEV;
  const size = (wanted === 0 ? run.length : wanted + ETH_HLEN) + cpu.s32(4);
  memory.view.setUint32(at, mtu, true);
  return size <= mtu + ETH_HLEN ? 0 : 1;
}
