/**
 * @module
 * The real machine: BPF, interfaces and processes of the kernel that this process runs on.
 */
import type { Clock, Machine } from "@skep/machine";
import { LinuxBpf } from "./bpf/index.ts";
import { openNet, type LinuxNet } from "./net/index.ts";
import { openProcesses, type ProcessOptions } from "./processes/index.ts";
import { CLOCK, clockTime } from "./sys/index.ts";

export interface LinuxOptions extends ProcessOptions {
  /** Path of the network namespace that counts as the host's; default the process's own. */
  readonly netns?: string;
  /** Where namespaces of workloads are kept, in `netns` below it. Default `/run/skep`. */
  readonly runFolder?: string;
}

export interface LinuxMachine extends Machine {
  readonly bpf: LinuxBpf;
  readonly net: LinuxNet;
}

/** Opens the machine. Touches nothing. */
export function openLinux(options: LinuxOptions = {}): LinuxMachine {
  const netns = options.netns === undefined ? {} : { netns: options.netns };
  return {
    name: "linux",
    bpf: new LinuxBpf(netns),
    net: openNet({ run: options.runFolder ?? "/run/skep", ...netns }),
    processes: openProcesses(options.cgroupRoot === undefined ? {} : { cgroupRoot: options.cgroupRoot }),
    clock: linuxClock,
  };
}

/** The clock of this process and of the kernel's programs. */
export const linuxClock: Clock = {
  now: () => Date.now(),
  monotonic: () => clockTime(CLOCK.MONOTONIC),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};
