import { type ChildProcess, spawn, type StdioOptions } from "node:child_process";
import { join } from "node:path";
import { inNamespace, O, openFile } from "../sys/index.ts";

export interface WorkloadOptions {
  readonly command: string;
  readonly args?: readonly string[];
  /** File of the network namespace; default the caller's. */
  readonly netnsPath?: string;
  /** Folder of the cgroup; default the caller's. */
  readonly cgroupPath?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly stdio?: readonly ("inherit" | "ignore" | "pipe" | number)[] | "inherit" | "ignore" | "pipe";
  readonly uid?: number;
  readonly gid?: number;
  /** In a session of its own. */
  readonly detached?: boolean;
}

/** The exit status when the cgroup could not be joined: the command never ran. */
export const JOIN_FAILED = 125;

// The shell joins the cgroup through a descriptor that was opened with the caller's rights (the kernel checks those of the opener),
// so it works after the change of user too; then it becomes the command, which inherits neither the descriptor nor a shell above it.
const trampoline = (fd: number): string => `echo $$ >&${fd} || exit ${JOIN_FAILED}; exec ${fd}>&-; exec "$@"`;

/**
 * Starts a process that is in the network namespace and in the cgroup before the first instruction of its program. The exit status is 127
 * where the command is not found, `JOIN_FAILED` where the cgroup refused.
 */
export function spawnWorkload(options: WorkloadOptions): ChildProcess {
  const { netnsPath, cgroupPath } = options;
  const start = () => (cgroupPath === undefined ? spawnPlain(options) : spawnInCgroup(options, cgroupPath));
  // fork(2) copies the namespace of the calling thread; libuv forks before spawn() returns.
  return netnsPath === undefined ? start() : inNamespace(netnsPath, start);
}

function spawnOptions(options: WorkloadOptions, stdio: StdioOptions): Parameters<typeof spawn>[2] {
  const { env, cwd, uid, gid, detached } = options;
  return {
    stdio,
    env: { ...(env ?? process.env) },
    ...(cwd === undefined ? {} : { cwd }),
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
    ...(detached === undefined ? {} : { detached }),
  };
}

function stdioList(options: WorkloadOptions): ("inherit" | "ignore" | "pipe" | number)[] {
  const { stdio = "inherit" } = options;
  const list = typeof stdio === "string" ? [stdio, stdio, stdio] : [...stdio];
  while (list.length < 3) list.push("ignore");
  return list;
}

function spawnPlain(options: WorkloadOptions): ChildProcess {
  return spawn(options.command, [...(options.args ?? [])], spawnOptions(options, stdioList(options)));
}

function spawnInCgroup(options: WorkloadOptions, cgroup: string): ChildProcess {
  if (options.command.startsWith("-")) throw new RangeError(`${options.command} is no command`);
  const stdio = stdioList(options);
  const place = stdio.length;
  // POSIX shells redirect single-digit descriptors only.
  if (place > 9) throw new RangeError(`${place} stdio entries are too many`);
  const processes = openFile(join(cgroup, "cgroup.procs"), O.WRONLY);
  try {
    const args = ["-c", trampoline(place), "sh", options.command, ...(options.args ?? [])];
    return spawn("/bin/sh", args, spawnOptions(options, [...stdio, processes.fd]));
  } finally {
    processes.close();
  }
}
