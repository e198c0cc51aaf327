// Prefixes whose packets are dropped before all else: at XDP, and at tc where there is no XDP.
import { be32, config, lpmTrie, percpuArray, struct, u32, u64, u8, type PacketContext, type u16 } from "@skep/bpf";
import { Ethernet, Ipv4, Ipv6 } from "@skep/bpf/net";
import { Address } from "./maps.bpf.ts";
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from "./packet.bpf.ts";

/** Where prefixes are looked for: 1 at XDP, 2 at tc. */
export const prefilter = config("prefilter", u8, 0);
export const PREFILTER_XDP = 1;
export const PREFILTER_TC = 2;

export const Deny4Key = struct("Deny4Key", { prefixLength: u32, address: be32 });
export const Deny6Key = struct("Deny6Key", { prefixLength: u32, address: Address });
export const denied4 = lpmTrie("skep_deny4", { key: Deny4Key, value: u8, maxEntries: 1_048_576 });
export const denied6 = lpmTrie("skep_deny6", { key: Deny6Key, value: u8, maxEntries: 1_048_576 });
/** What the lists have dropped, by CPU. */
export const Denied = struct("Denied", { packets: u64, bytes: u64 });
export const deniedCount = percpuArray("skep_denied", { value: Denied, maxEntries: 1 });

export function isDenied(ctx: PacketContext, type: u16): boolean {
  if (type === ETHERTYPE_IPV4) {
    const ip = ctx.header(Ipv4, Ethernet.size);
    return ip !== null && denied4.ref({ prefixLength: 32, address: ip.source }) !== null;
  }
  if (type !== ETHERTYPE_IPV6) return false;
  const ip = ctx.header(Ipv6, Ethernet.size);
  if (!ip) return false;
  const { source } = ip;
  const address = { w0: source.w0, w1: source.w1, w2: source.w2, w3: source.w3 };
  return denied6.ref({ prefixLength: 128, address }) !== null;
}

export function countDenied(ctx: PacketContext): void {
  const denied = deniedCount.get(0);
  if (!denied) return;
  denied.packets += 1n;
  denied.bytes += u64(ctx.length);
}
