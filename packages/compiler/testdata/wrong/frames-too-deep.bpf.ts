import { perfEvent, stackTraces } from "@skep/bpf";
export const license = "GPL";
export const stacks = stackTraces("stacks", { frames: 200, maxEntries: 8 });
export const main = perfEvent("main", (ctx) => (stacks.id(ctx, 0n) < 0n ? 0 : 1));
