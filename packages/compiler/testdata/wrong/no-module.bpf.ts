import { thing } from "./nowhere.bpf.ts";
import { xdp } from "@skep/bpf";
export const main = xdp("main", () => thing);
