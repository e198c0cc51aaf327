// A hop: the time to live goes down by one, and what has none left ends here.
import { array, tc, TC, u64 } from "@skep/bpf";
import { decrementTtl } from "@skep/bpf/checksum";
import { Ethernet, ETHERTYPE, Ipv4, Ipv6 } from "@skep/bpf/net";

export const expired = array("expired", { value: u64, maxEntries: 1 });

function expire(): number {
  const counter = expired.ref(0);
  if (counter) counter.value += 1n;
  return TC.SHOT;
}

export const hop = tc("hop", (ctx) => {
  if (ctx.protocol === ETHERTYPE.IPV4) {
    const ip = ctx.header(Ipv4, Ethernet.size);
    if (!ip || ip.ttl <= 1) return expire();
    decrementTtl(ip);
  } else if (ctx.protocol === ETHERTYPE.IPV6) {
    const ip = ctx.header(Ipv6, Ethernet.size);
    if (!ip || ip.hopLimit <= 1) return expire();
    ip.hopLimit -= 1;
  }
  return TC.OK;
});
