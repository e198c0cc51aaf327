// Which of several listeners takes a connection: by the client's port, so that a client keeps its listener.
import { be16, config, reuseportSockArray, SK, skReuseport, skSelectReuseport, struct, u32 } from "@skep/bpf";

export const listeners = reuseportSockArray("listeners", { maxEntries: 16 });
export const count = config("count", u32, 1);
const Ports = struct("Ports", { source: be16, destination: be16 });

export const choose = skReuseport("choose", (ctx) => {
  const ports = ctx.header(Ports, 0);
  if (!ports || count.value === 0) return SK.DROP;
  const index: u32 = ports.source % count.value;
  return skSelectReuseport(ctx, listeners, index, 0n) === 0n ? SK.PASS : SK.DROP;
});
