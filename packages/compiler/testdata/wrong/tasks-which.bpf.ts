import { syscall, struct, tasks, u32, type i32 } from "@skep/bpf";
interface task_struct { readonly "~btf"?: "struct task_struct"; pid: i32 }
const A = struct("A", { count: u32 });
export const main = syscall("main", A, (a) => {
  for (const task of tasks<task_struct>("everything" as never)) a.count += 1;
  return 0;
});
