import { array, struct, u8, xdp, XDP } from "@skep/bpf";
import { Ethernet, Ipv4 } from "@skep/bpf/net";
const Name = struct("Name", { bytes: array(u8, 8) });
export const main = xdp("main", (ctx) => {
  const name = Name.zero();
  const device = "eth" + "0";
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (/eth\d/.test(device)) return XDP.DROP;
  if (device.charCodeAt(0) === 101) return XDP.DROP;
  if (name.bytes === "eth0") return XDP.DROP;
  if (ip && ip.source === "10.0.0.1") return XDP.DROP;
  const line = `length ${ctx.length}`;
  const other = "length " + ctx.length;
  return ctx.length.toString() === "64" ? XDP.DROP : XDP.PASS;
});
