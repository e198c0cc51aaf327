// At netfilter's input: drops IPv4 packets that have travelled too far, and counts the others by their hook.
import { array, config, dynptrFromPacket, NF, netfilter, u32, u64 } from "@skep/bpf";
import { Ipv4 } from "@skep/bpf/net";
import type { bpf_nf_ctx } from "./kernel.js";

export const license = "GPL";
export const least = config("least", u32, 2);
/** By the number of the hook (NF_INET_*). */
export const hooks = array("hooks", { value: u64, maxEntries: 8 });

export const guard = netfilter("guard", (ctx: bpf_nf_ctx) => {
  const { state, skb } = ctx;
  const counter = state ? hooks.ref(state.hook) : null;
  if (counter) counter.value += 1n;
  if (!skb) return NF.ACCEPT;
  const packet = dynptrFromPacket(skb);
  const ip = Ipv4.zero();
  if (packet.read(ip, 0n) !== 0n) return NF.ACCEPT;
  return ip.ttl < least.value ? NF.DROP : NF.ACCEPT;
});
