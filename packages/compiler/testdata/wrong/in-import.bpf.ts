import { xdp } from "@skep/bpf";
import { verdict } from "./lib/verdict.bpf.ts";
export const main = xdp("main", (ctx) => verdict(ctx.length));
