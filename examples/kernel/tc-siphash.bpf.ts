// A stable number for every flow by a keyed hash: the same for both directions, and nobody outside can aim at one of them.
import { array, config, tc, TC, u32, u64 } from "@skep/bpf";
import { sipHashWords } from "@skep/bpf/hash";
import { Ethernet, Ipv4, PROTOCOL, Udp } from "@skep/bpf/net";

export const key0 = config("key0", u64, 0x0706050403020100n);
export const key1 = config("key1", u64, 0x0f0e0d0c0b0a0908n);
/** The last flow's number. */
export const last = array("last", { value: u64, maxEntries: 1 });

export const number = tc("number", (ctx) => {
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ip || ip.protocol !== PROTOCOL.UDP) return TC.OK;
  const udp = ctx.header(Udp, Ethernet.size + ip.ihl * 4);
  if (!udp) return TC.OK;
  const a: u64 = (u64(ip.source) << 16n) | u64(udp.source);
  const b: u64 = (u64(ip.destination) << 16n) | u64(udp.destination);
  const [low, high] = a < b ? ([a, b] as const) : ([b, a] as const);
  const sum = sipHashWords([low, high], key0.value, key1.value);
  const place = last.ref(0);
  if (place) place.value = sum;
  ctx.mark = u32(sum);
  return TC.OK;
});
