// One listener for a whole range of ports.
import { config, skAssign, skLookup, skRelease, SK, sockMap, u32 } from "@skep/bpf";

export const listener = sockMap("listener", { maxEntries: 1 });
export const first = config("first", u32, 0);
export const last = config("last", u32, 65_535);

export const dispatch = skLookup("dispatch", (ctx) => {
  if (ctx.protocol !== 6 || ctx.localPort < first.value || ctx.localPort > last.value) return SK.PASS;
  const socket = listener.get(0);
  if (!socket) return SK.PASS;
  const assigned = skAssign(ctx, socket, 0n) === 0n;
  skRelease(socket);
  return assigned ? SK.PASS : SK.DROP;
});
