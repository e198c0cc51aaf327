import { cgroupConnect4 } from "@skep/bpf";
export const main = cgroupConnect4("main", (ctx) => (ctx.userPort === 80 ? 2 : 1));
