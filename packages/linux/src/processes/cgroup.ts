/**
 * @module
 * cgroup v2 folders (Documentation/admin-guide/cgroup-v2.rst).
 */
import { mkdirSync, readdirSync, readFileSync, rmdirSync, statSync, writeFileSync, watch } from "node:fs";
import { join, relative, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** No cgroup2 file system is mounted. */
export class NoCgroupError extends Error {
  override readonly name = "NoCgroupError";
}

const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;

/** The result, or null where the cgroup is gone: ENODEV is what its files answer once it is removed. */
function whileThere<T>(run: () => T): T | null {
  try {
    return run();
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENODEV") return null;
    throw error;
  }
}

/**
 * Where cgroup2 is mounted: `/sys/fs/cgroup`, or `/sys/fs/cgroup/unified` beside version 1. The first mount of the hierarchy's
 * root in /proc/self/mountinfo; a mount of a part of it (field 4) only where there is no other.
 */
export function findCgroupRoot(mountinfo = readFileSync("/proc/self/mountinfo", "utf8")): string {
  const found: { root: string; point: string }[] = [];
  for (const line of mountinfo.split("\n")) {
    const fields = line.split(" ");
    const type = fields[fields.indexOf("-") + 1];
    if (type === "cgroup2") found.push({ root: fields[3] ?? "", point: fields[4] ?? "" });
  }
  const best = found.find((each) => each.root === "/") ?? found[0];
  if (!best) throw new NoCgroupError("no cgroup2 file system is mounted");
  return best.point.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}

/** The absolute path of a cgroup given by its path below the root, or by its absolute path. RangeError where it is not below the root. */
export function cgroupPath(root: string, path: string): string {
  const absolute = path === root || path.startsWith(`${root}/`) ? resolve(path) : resolve(join(root, path));
  if (relative(root, absolute).startsWith("..")) throw new RangeError(`${path} is not below ${root}`);
  return absolute;
}

/** Makes the folder and its parents. The id is what bpf_get_current_cgroup_id gives. */
export function createCgroup(path: string): { path: string; id: bigint } {
  mkdirSync(path, { recursive: true });
  // kernfs: the inode number is the id (fs/kernfs/inode.c, kernfs_init_inode) on 64-bit machines.
  return { path, id: statSync(path, { bigint: true }).ino };
}

function* tree(path: string): IterableIterator<string> {
  for (const entry of whileThere(() => readdirSync(path, { withFileTypes: true })) ?? [])
    if (entry.isDirectory()) yield* tree(join(path, entry.name));
  yield path;
}

/** Process ids in the cgroup and below; null where it does not exist. */
export function cgroupProcesses(path: string): number[] | null {
  if (!whileThere(() => statSync(path))) return null;
  const ids = [...tree(path)].flatMap((each) =>
    (whileThere(() => readFileSync(join(each, "cgroup.procs"), "utf8")) ?? "")
      .split("\n")
      .filter((line) => line !== ""),
  );
  return ids.map(Number).sort((left, right) => left - right);
}

/** Whether living processes are in the cgroup or below; null where it does not exist. Zombies do not count. */
export function isPopulated(path: string): boolean | null {
  const events = whileThere(() => readFileSync(join(path, "cgroup.events"), "utf8"));
  return events === null ? null : /^populated 1$/m.test(events);
}

/** Kills the whole tree at once, against forks too. Kernels before 5.14 have no cgroup.kill: then every process that is seen. */
function kill(path: string): void {
  try {
    writeFileSync(join(path, "cgroup.kill"), "1", { flag: "r+" });
  } catch (error) {
    if (codeOf(error) === "ENODEV") return;
    if (codeOf(error) !== "ENOENT") throw error;
    for (const pid of cgroupProcesses(path) ?? []) killProcess(pid);
  }
}

function killProcess(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (codeOf(error) !== "ESRCH") throw error;
  }
}

/** False where something is still in it. */
function removeTree(path: string): boolean {
  for (const each of tree(path)) {
    try {
      rmdirSync(each);
    } catch (error) {
      if (codeOf(error) === "EBUSY") return false;
      if (codeOf(error) !== "ENOENT") throw error;
    }
  }
  return true;
}

/** Between two looks at a cgroup whose processes are dying. */
const pollMilliseconds = 5;
/** Processes that sit in the kernel cannot be killed; waiting longer than this helps nobody. */
const killPatienceMilliseconds = 30_000;

/** A process in the cgroup did not end on SIGKILL. */
export class CgroupBusyError extends Error {
  override readonly name = "CgroupBusyError";
  readonly processes: readonly number[];
  constructor(path: string, processes: readonly number[]) {
    super(`${path} still holds processes ${processes.join(", ")} after SIGKILL`);
    this.processes = processes;
  }
}

/** Ends every process in it and below, waits until they are gone, and removes the folders. Nothing where it does not exist. */
export async function deleteCgroup(path: string): Promise<void> {
  for (let waited = 0; isPopulated(path) !== null; waited += pollMilliseconds) {
    if (isPopulated(path)) kill(path);
    else if (removeTree(path)) return;
    if (waited > killPatienceMilliseconds) throw new CgroupBusyError(path, cgroupProcesses(path) ?? []);
    await sleep(pollMilliseconds);
  }
}

/**
 * Calls `onEmpty` once, when no living process is in the cgroup any more or the cgroup is gone. It may be empty at the start: with
 * `awaitFirst` a process must have come before its emptiness counts. Returns what stops the watch.
 */
export function watchCgroup(
  path: string,
  onEmpty: () => void,
  options: { readonly awaitFirst?: boolean } = {},
): () => void {
  let awaiting = options.awaitFirst ?? false;
  let isOpen = true;
  const stop = () => {
    isOpen = false;
    watcher?.close();
  };
  const look = () => {
    if (!isOpen) return;
    const populated = isPopulated(path);
    if (populated) awaiting = false;
    else if (populated === null || !awaiting) {
      stop();
      onEmpty();
    }
  };
  // cgroup_file_notify wakes inotify on cgroup.events at each change of `populated`, and on removal.
  const watcher = whileThere(() => watch(join(path, "cgroup.events"), look));
  queueMicrotask(look);
  return stop;
}
