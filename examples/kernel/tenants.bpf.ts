// A table per tenant that is exchanged whole: a map of maps, swapped while programs read it.
import { be32, global, hash, hashOfMaps, struct, tc, TC, u32, u64 } from "@skep/bpf";
import { Ethernet, Ipv4 } from "@skep/bpf/net";

const Peer = struct("Peer", { address: be32 });
export const rules = hash("rules", { key: Peer, value: u32, maxEntries: 64 });
/** By the packet's mark. */
export const tenants = hashOfMaps("tenants", { key: u32, inner: rules, maxEntries: 16 });
export const strangers = global("strangers", u64);

export const enforce = tc("enforce", (ctx) => {
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ip) return TC.OK;
  const own = tenants.get(ctx.mark);
  if (!own) {
    strangers.value += 1n;
    return TC.SHOT;
  }
  return own.get({ address: ip.source }) === 1 ? TC.OK : TC.SHOT;
});
