import { fentry, type Bits, type u32 } from "@skep/bpf";
interface task_struct {
  readonly "~btf"?: "struct task_struct";
  frozen: Bits<u32, 1>;
}
export const license = "GPL";
export const main = fentry("main", "wake_up_new_task", (task: task_struct) => {
  task.frozen = 1;
  return 0;
});
