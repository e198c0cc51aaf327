import { array, struct, text, u8, xdp, XDP } from "@skep/bpf";
import { Ethernet } from "@skep/bpf/net";
const Name = struct("Name", { bytes: array(u8, 16) });
export const main = xdp("main", (ctx) => {
  const [a, b] = [ctx.header(Ethernet, 0), ctx.header(Ethernet, 14)];
  if (!a || !b) return XDP.DROP;
  if (a.source === b.source) return XDP.DROP;
  const name = { ...Name.zero(), bytes: text("eth0", 16) };
  if (name === Name.zero()) return XDP.DROP;
  return XDP.PASS;
});
