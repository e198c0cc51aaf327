// A cgroup and what is below it.
import { iterator, seqPrint } from "@skep/bpf";
import type { bpf_iter__cgroup } from "./kernel.js";

export const license = "GPL";
export const cgroups = iterator("cgroups", "cgroup", (ctx: bpf_iter__cgroup) => {
  const group = ctx.cgroup;
  if (group) seqPrint(ctx)`${group.kn?.id ?? 0n} ${group.level}\n`;
  return 0;
});
