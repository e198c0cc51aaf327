import { rawTracepoint, kernelPointer, type i32 } from "@skep/bpf";
interface task_struct { readonly "~btf"?: "struct task_struct"; pid: i32 }
export const main = rawTracepoint("main", "sched_switch", (ctx) => kernelPointer<task_struct>(ctx.arg(1))?.pid ?? 0);
