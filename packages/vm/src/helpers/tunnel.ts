import type { Cpu } from "../cpu.ts";
import { errno } from "../error.ts";
import type { TunnelKey } from "../host.ts";
import type { HelperMachine, HelperRows } from "./machine.ts";

/** What a packet of a tunnel carries outside (net/core/filter.c: bpf_skb_get_tunnel_key, bpf_skb_set_tunnel_key), by number. */
export function tunnelHelpers(machine: HelperMachine): HelperRows {
  return [
    [20, (cpu) => getTunnelKey(machine, cpu)],
    [21, (cpu) => setTunnelKey(machine, cpu)],
  ];
}

/** sizeof(struct bpf_tunnel_key), and where its earlier versions ended. */
const SIZE = 44;
const SIZES: readonly number[] = [SIZE, 28, 24, 22, 8];
const [ID, REMOTE, TOS, TTL, FLAGS, LABEL, LOCAL] = [0, 4, 20, 21, 22, 24, 28];
/** BPF_F_TUNINFO_IPV6, BPF_F_TUNINFO_FLAGS and all that setting knows. */
const [IPV6, WITH_FLAGS, SETTABLE] = [1n, 16n, 0x1fn];
const EPROTO = 71;

/** What cannot be told leaves zeros. */
function getTunnelKey(machine: HelperMachine, cpu: Cpu): number {
  const size = cpu.u32(3);
  const flags = cpu.u64(4);
  const { memory, host } = machine;
  const at = memory.check(cpu.pointer(2), size, true);
  memory.bytes.fill(0, at, at + size);
  const key = host.tunnelKey?.get() ?? null;
  if (key === null || (flags & ~(IPV6 | WITH_FLAGS)) !== 0n || !SIZES.includes(size)) return -errno.EINVAL;
  const family = (flags & IPV6) === 0n ? 4 : 16;
  if (key.remote.length !== family) return -EPROTO;
  memory.bytes.set(encode(key).subarray(0, size), at);
  return 0;
}

function setTunnelKey(machine: HelperMachine, cpu: Cpu): number {
  const size = cpu.u32(3);
  const flags = cpu.u64(4);
  if ((flags & ~SETTABLE) !== 0n || !SIZES.includes(size)) return -errno.EINVAL;
  const bytes = new Uint8Array(SIZE);
  bytes.set(machine.memory.read(cpu.pointer(2), size));
  const view = new DataView(bytes.buffer);
  const isIpv6 = (flags & IPV6) !== 0n;
  if ((!isIpv6 && view.getUint32(LABEL, true) !== 0) || view.getUint16(FLAGS, true) !== 0) return -errno.EINVAL;
  return machine.host.tunnelKey?.set(decode(view, isIpv6)) ?? -errno.EINVAL;
}

/** IPv4 addresses stand in the machine's order, IPv6 ones in the network's. */
function encode(key: TunnelKey): Uint8Array {
  const bytes = new Uint8Array(SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(ID, key.id, true);
  put(bytes, REMOTE, key.remote);
  view.setUint8(TOS, key.tos);
  view.setUint8(TTL, key.ttl);
  if (key.local) put(bytes, LOCAL, key.local);
  return bytes;
}

function put(bytes: Uint8Array, at: number, address: Uint8Array): void {
  bytes.set(address.length === 4 ? address.slice().reverse() : address, at);
}

function decode(view: DataView, isIpv6: boolean): TunnelKey {
  const address = (at: number): Uint8Array => {
    const bytes = new Uint8Array(view.buffer).slice(at, at + (isIpv6 ? 16 : 4));
    return isIpv6 ? bytes : bytes.reverse();
  };
  const local = address(LOCAL);
  return {
    id: view.getUint32(ID, true),
    remote: address(REMOTE),
    ...(local.some((byte) => byte !== 0) ? { local } : {}),
    tos: view.getUint8(TOS),
    ttl: view.getUint8(TTL),
  };
}
