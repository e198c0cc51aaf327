import { xdp, XDP, type u32 } from "@skep/bpf";
interface task_struct { readonly "~btf"?: "struct task_struct" }
declare function bpf_task_from_pid(pid: u32): task_struct | null;
export const main = xdp("main", () => (bpf_task_from_pid(1) ? XDP.DROP : XDP.PASS));
