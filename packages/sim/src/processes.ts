/**
 * @module
 * Cgroups and the processes in them. Processes are numbers: what they do is scripted by who makes them.
 */
import type { ProcessMachine } from "@skep/machine";
import { HookList } from "./bpf/hooks.ts";
import type { LinkObject } from "./bpf/objects.ts";
import { SimError, NotSupportedError } from "./error.ts";

/** Hooks that something in this machine fires. */
const FIRED =
  /^cgroup_(?:inet[46]_(?:connect|getpeername|getsockname|bind|post_bind)|udp[46]_(?:sendmsg|recvmsg)|inet_sock_(?:create|release)|inet_(?:in|e)gress|sock_ops|[gs]etsockopt|sysctl)$/;

export class Cgroup {
  readonly path: string;
  readonly id: bigint;
  readonly parent: Cgroup | null;
  readonly processes = new Set<number>();
  readonly #hooks = new Map<string, HookList>();

  constructor(path: string, id: bigint, parent: Cgroup | null) {
    this.path = path;
    this.id = id;
    this.parent = parent;
  }

  hook(attachType: string): HookList {
    if (!FIRED.test(attachType)) throw new NotSupportedError(`hook ${attachType}`);
    const list = this.#hooks.get(attachType) ?? new HookList();
    this.#hooks.set(attachType, list);
    return list;
  }

  /** This cgroup's programs, then those of the ones above (kernel/bpf/cgroup.c: compute_effective_progs). */
  effective(attachType: string): LinkObject[] {
    const own = this.#hooks.get(attachType)?.links ?? [];
    return [...own, ...(this.parent?.effective(attachType) ?? [])];
  }

  get info(): { readonly id: bigint; readonly ancestors: readonly bigint[] } {
    return { id: this.id, ancestors: [...(this.parent?.info.ancestors ?? []), this.id] };
  }

  /** Programs do not outlive their cgroup. */
  clear(): void {
    for (const list of this.#hooks.values()) for (const link of [...list.links]) link.detach();
  }
}

export class SimProcesses implements ProcessMachine {
  readonly cgroupRoot = "/sys/fs/cgroup";
  readonly #cgroups = new Map<string, Cgroup>();
  #lastId = 1n;
  #lastPid = 1;

  constructor() {
    this.#cgroups.set(this.cgroupRoot, new Cgroup(this.cgroupRoot, this.#lastId, null));
  }

  #absolute(path: string): string {
    if (path.split("/").some((part) => part === "..")) throw new RangeError(`${path} leaves the root`);
    return path === "" ? this.cgroupRoot : `${this.cgroupRoot}/${path}`;
  }

  createCgroup(path: string): { path: string; id: bigint } {
    let parent = this.cgroup(this.cgroupRoot);
    let at = this.cgroupRoot;
    for (const part of path.split("/").filter((each) => each !== "")) {
      at = `${at}/${part}`;
      const known = this.#cgroups.get(at);
      if (!known) {
        this.#lastId += 1n;
        this.#cgroups.set(at, new Cgroup(at, this.#lastId, parent));
      }
      parent = this.cgroup(at);
    }
    if (!parent) throw new SimError("ENOENT", `cgroup ${path}`);
    return { path: parent.path, id: parent.id };
  }

  /** By its absolute path. */
  cgroup(path: string): Cgroup | null {
    return this.#cgroups.get(path) ?? null;
  }

  deleteCgroup(path: string): Promise<void> {
    const absolute = this.#absolute(path);
    for (const [at, cgroup] of this.#cgroups) {
      if (at !== absolute && !at.startsWith(`${absolute}/`)) continue;
      if (at === this.cgroupRoot) continue;
      cgroup.clear();
      this.#cgroups.delete(at);
    }
    return Promise.resolve();
  }

  cgroupProcesses(path: string): number[] | null {
    const absolute = this.#absolute(path);
    if (!this.#cgroups.has(absolute)) return null;
    const below = [...this.#cgroups.values()].filter(
      (each) => each.path === absolute || each.path.startsWith(`${absolute}/`),
    );
    return below.flatMap(({ processes }) => [...processes]).sort((a, b) => a - b);
  }

  /** Its memory is that of the program around it. */
  giveBackMemory(): void {}

  /** A process in a cgroup; gives its number. It is there until it is ended. */
  start(path: string): number {
    const cgroup = this.cgroup(this.#absolute(path));
    if (!cgroup) throw new SimError("ENOENT", `cgroup ${path}`);
    this.#lastPid += 1;
    cgroup.processes.add(this.#lastPid);
    return this.#lastPid;
  }

  end(pid: number): void {
    for (const cgroup of this.#cgroups.values()) cgroup.processes.delete(pid);
  }
}
