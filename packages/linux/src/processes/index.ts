export { openProcesses, type ProcessOptions } from "./machine.ts";
export { CgroupBusyError, findCgroupRoot, isPopulated, NoCgroupError, watchCgroup } from "./cgroup.ts";
export { JOIN_FAILED, spawnWorkload, type WorkloadOptions } from "./workload.ts";
