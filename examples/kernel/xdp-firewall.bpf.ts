// Drops what comes from blocked networks: the longest prefix in a trie decides.
import { be32, lpmTrie, percpuArray, struct, u32, u64, xdp, XDP } from "@skep/bpf";
import { Ethernet, Ipv4 } from "@skep/bpf/net";

const Prefix = struct("Prefix", { length: u32, address: be32 });

/** 1 blocks, 0 is an exception within what is blocked. */
export const networks = lpmTrie("networks", { key: Prefix, value: u32, maxEntries: 1024 });
/** Packets that passed (0) and that were dropped (1). */
export const counts = percpuArray("counts", { value: u64, maxEntries: 2 });

function verdict(blocked: boolean): number {
  const counter = counts.ref(blocked ? 1 : 0);
  if (counter) counter.value += 1n;
  return blocked ? XDP.DROP : XDP.PASS;
}

export const firewall = xdp("firewall", (ctx) => {
  const ethernet = ctx.header(Ethernet, 0);
  if (!ethernet || ethernet.type !== 0x0800) return XDP.PASS;
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ip) return XDP.PASS;
  return verdict(networks.get({ length: 32, address: ip.source }) === 1);
});
