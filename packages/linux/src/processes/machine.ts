import type { ProcessMachine } from "@skep/machine";
import { giveBackMemory } from "./give-back.ts";
import { cgroupPath, cgroupProcesses, createCgroup, deleteCgroup, findCgroupRoot } from "./cgroup.ts";

export interface ProcessOptions {
  /** Where cgroup2 is mounted; default the mount that is found. */
  readonly cgroupRoot?: string;
}

class Processes implements ProcessMachine {
  #root: string | undefined;

  constructor(options: ProcessOptions) {
    this.#root = options.cgroupRoot;
  }

  /** Throws `NoCgroupError` where there is no cgroup2 mount. */
  get cgroupRoot(): string {
    this.#root ??= findCgroupRoot();
    return this.#root;
  }

  createCgroup(path: string): { path: string; id: bigint } {
    return createCgroup(cgroupPath(this.cgroupRoot, path));
  }

  async deleteCgroup(path: string): Promise<void> {
    const absolute = cgroupPath(this.cgroupRoot, path);
    if (absolute === this.cgroupRoot) throw new RangeError("the root cgroup cannot be removed");
    await deleteCgroup(absolute);
  }

  cgroupProcesses(path: string): number[] | null {
    return cgroupProcesses(cgroupPath(this.cgroupRoot, path));
  }

  giveBackMemory(): void {
    giveBackMemory();
  }
}

/** The process half of the real machine. Opening touches nothing. */
export function openProcesses(options: ProcessOptions = {}): ProcessMachine {
  return new Processes(options);
}
