import { dynptrFromPacket, tc } from "@skep/bpf";
export const license = "GPL";
export const main = tc("main", (ctx) => (dynptrFromPacket(ctx) as never as { bytes: number }).bytes);
