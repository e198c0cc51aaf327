import { dynptrFromMemory, tc } from "@skep/bpf";
export const main = tc("main", (ctx) => dynptrFromMemory(ctx.length as never).size);
