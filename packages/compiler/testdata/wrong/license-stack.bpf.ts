import { getStackid, kprobe, stackTraces } from "@skep/bpf";
export const stacks = stackTraces("stacks", { frames: 8, maxEntries: 8 });
export const main = kprobe("main", "do_unlinkat", (ctx) => (getStackid(ctx, stacks, 0n) < 0n ? 0 : 1));
