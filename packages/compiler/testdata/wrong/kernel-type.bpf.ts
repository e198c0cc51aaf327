import { tracepoint, typeSize, u32 } from "@skep/bpf";

export const size = tracepoint("size", "sched/sched_switch", () => {
  const bytes = typeSize<u32>();
  return bytes > 4n ? 1 : 0;
});
