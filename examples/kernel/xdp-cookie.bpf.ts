// The first half of a SYN proxy: a SYN is answered with a cookie that the kernel can check later (RFC 4987), without any state.
import { array, struct, tcpRawCheckSyncookieIpv4, tcpRawGenSyncookieIpv4, u32, u64, xdp, XDP } from "@skep/bpf";
import { Ethernet, Ipv4, PROTOCOL, Tcp, TCP_FLAG } from "@skep/bpf/net";

export const license = "GPL";

/** Cookies made (0), acknowledgements that hold a cookie (1) and that do not (2); the last cookie (3). */
export const counts = array("counts", { value: u64, maxEntries: 4 });

function add(index: u32): void {
  const counter = counts.ref(index);
  if (counter) counter.value += 1n;
}

export const cookies = xdp("cookies", (ctx) => {
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ip || ip.ihl !== 5 || ip.protocol !== PROTOCOL.TCP) return XDP.PASS;
  const tcp = ctx.header(Tcp, Ethernet.size + Ipv4.size);
  if (!tcp || tcp.offset !== 5) return XDP.PASS;
  if ((tcp.flags & (TCP_FLAG.SYN | TCP_FLAG.ACK)) === TCP_FLAG.SYN) {
    const cookie = tcpRawGenSyncookieIpv4(ip, tcp);
    if (cookie < 0n) return XDP.ABORTED;
    add(0);
    const last = counts.ref(3);
    if (last) last.value = u64(u32(cookie));
    return XDP.DROP;
  }
  if ((tcp.flags & TCP_FLAG.ACK) === 0) return XDP.PASS;
  const good = tcpRawCheckSyncookieIpv4(ip, tcp) === 0n;
  add(good ? 1 : 2);
  return good ? XDP.PASS : XDP.DROP;
});
