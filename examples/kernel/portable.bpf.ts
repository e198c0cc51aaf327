// One object for many kernels: what this one has is asked when the program is loaded, and what it lacks is not even verified.
import {
  enumExists,
  enumValue,
  exists,
  getCurrentTaskBtf,
  kconfig,
  kernelVersion,
  kfuncExists,
  loop,
  struct,
  syscall,
  typeExists,
  typeSize,
  u32,
  u64,
} from "@skep/bpf";
import { bpf_func_id, bpf_skep_missing, bpf_strlen, type task_struct } from "./kernel.js";

export const license = "GPL";
export const version = kconfig("LINUX_KERNEL_VERSION", u32);
export const ticks = kconfig("CONFIG_HZ", u32);
export const Facts = struct("Facts", {
  modern: u32,
  hz: u32,
  hasLoop: u32,
  loopNumber: u64,
  hasComm: u32,
  hasTask: u32,
  taskSize: u64,
  hasStrlen: u32,
  sum: u32,
});

export const facts = syscall("facts", Facts, (answer) => {
  answer.modern = u32(version.value >= kernelVersion(6, 1));
  answer.hz = ticks.value;
  answer.hasLoop = u32(enumExists(bpf_func_id.BPF_FUNC_loop));
  answer.loopNumber = enumValue(bpf_func_id.BPF_FUNC_loop);
  answer.hasComm = u32(exists(getCurrentTaskBtf<task_struct>().comm));
  answer.hasTask = u32(typeExists<task_struct>());
  answer.taskSize = typeSize<task_struct>();
  answer.hasStrlen = u32(kfuncExists(bpf_strlen));
  if (kfuncExists(bpf_skep_missing)) answer.sum = u32(bpf_skep_missing(1));
  if (enumExists(bpf_func_id.BPF_FUNC_loop)) {
    let sum: u32 = 0;
    loop(10, (index) => {
      sum += index;
    });
    answer.sum += sum;
  }
  return 0;
});
