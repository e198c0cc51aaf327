// Every program that is started, with who started it.
import { addressOf, array, getCurrentUidGid, probeReadKernelStr, ringBuf, struct, tpBtf, u32, u8 } from "@skep/bpf";
import type { linux_binprm, task_struct } from "./kernel.js";

export const license = "GPL";
export const Started = struct("Started", { pid: u32, parent: u32, uid: u32, name: array(u8, 16), file: array(u8, 64) });
export const starts = ringBuf("starts", Started, { bytes: 1 << 16 });

export const exec = tpBtf("exec", "sched_process_exec", (task: task_struct, _old: number, program: linux_binprm) => {
  const event = starts.reserve();
  if (!event) return 0;
  event.pid = u32(task.tgid);
  event.parent = u32(task.real_parent?.tgid ?? 0);
  event.uid = u32(getCurrentUidGid());
  probeReadKernelStr(event.name, addressOf(task.comm));
  probeReadKernelStr(event.file, program.filename ?? 0n);
  starts.submit(event);
  return 0;
});
