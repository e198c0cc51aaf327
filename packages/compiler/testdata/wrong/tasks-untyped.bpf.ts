import { syscall, struct, tasks, u32 } from "@skep/bpf";
const A = struct("A", { count: u32 });
export const main = syscall("main", A, (a) => {
  for (const task of tasks()) a.count += 1;
  return 0;
});
