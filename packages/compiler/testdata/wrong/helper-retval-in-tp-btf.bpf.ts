import { setRetval, tpBtf } from "@skep/bpf";
export const license = "GPL";
export const main = tpBtf("main", "sched_switch", () => setRetval(-1));
