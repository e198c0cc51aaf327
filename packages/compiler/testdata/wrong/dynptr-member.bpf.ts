import { dynptrFromPacket, tc } from "@skep/bpf";
export const main = tc("main", (ctx) => (dynptrFromPacket(ctx) as never as { bytes: number }).bytes);
