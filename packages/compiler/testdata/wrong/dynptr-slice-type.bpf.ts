import { dynptrFromPacket, tc, u32 } from "@skep/bpf";
export const license = "GPL";
export const main = tc("main", (ctx) => (dynptrFromPacket(ctx).slice(u32 as never, 0) ? 0 : 1));
