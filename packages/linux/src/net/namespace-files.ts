/**
 * @module
 * Named network namespaces: a file per name in a folder, with the namespace mounted on it, as `ip netns` keeps them.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, unlinkSync } from "node:fs";
import { needCapability } from "./privilege.ts";
import {
  fileSystemType,
  inNewNamespace,
  isErrno,
  MNT_DETACH,
  mount,
  MS,
  NSFS_MAGIC,
  O,
  openFile,
  SyscallError,
  unmount,
} from "../sys/index.ts";

const EEXIST = 17;

/** Names become files: no separators, and none of the folder's own. */
export function checkName(name: string): void {
  if (!/^[\w.:@+-]{1,255}$/.test(name) || name === "." || name === "..")
    throw new RangeError(`${JSON.stringify(name)} cannot name a namespace`);
}

interface MountEntry {
  readonly point: string;
  readonly shared: boolean;
}

/** /proc/self/mountinfo (proc_pid_mountinfo(5)): field 5 is the mount point, optional fields up to ` - `. */
function mounts(): MountEntry[] {
  return readFileSync("/proc/thread-self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const fields = line.split(" ");
      const optional = fields.slice(6, fields.indexOf("-"));
      const point = (fields[4] ?? "").replace(/\\([0-7]{3})/g, (_, octal: string) =>
        String.fromCharCode(parseInt(octal, 8)),
      );
      return { point, shared: optional.some((field) => field.startsWith("shared:")) };
    });
}

/** The mount that holds a folder. */
function holderOf(folder: string): MountEntry | undefined {
  const isUnder = (point: string) => point === folder || folder.startsWith(point === "/" ? "/" : `${point}/`);
  const candidates = mounts().filter((entry) => isUnder(entry.point));
  return candidates.reduce<MountEntry | undefined>(
    (best, entry) => (best && best.point.length > entry.point.length ? best : entry),
    undefined,
  );
}

/**
 * A folder whose mounts other mount namespaces see: it is made a shared mount of its own where the mount that holds it is private,
 * so that the end of a namespace reaches copies of the mount table as well.
 */
export function prepareFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  if (holderOf(folder)?.shared) return;
  if (holderOf(folder)?.point !== folder) mount(folder, folder, { flags: MS.BIND });
  mount("", folder, { flags: MS.SHARED });
}

/** Takes back what `prepareFolder` mounted, once no namespace is left. */
export function releaseFolder(folder: string): void {
  if (!existsSync(folder) || readdirSync(folder).length > 0 || holderOf(folder)?.point !== folder) return;
  try {
    unmount(folder);
  } catch (error) {
    // Somebody makes a namespace there at this moment, or took the mount away already.
    if (!isErrno(error, "EBUSY", "EINVAL")) throw error;
  }
}

/** Whether a namespace is mounted on the file. A file without one is what an interrupted making left. */
export const isNamespaceFile = (path: string): boolean => existsSync(path) && fileSystemType(path) === NSFS_MAGIC;

/** Makes a namespace, runs `prepare` in it, and mounts it on `path`. Throws EEXIST where one is there. */
export function createNamespaceFile(path: string, prepare: () => void): void {
  if (isNamespaceFile(path)) throw new SyscallError("createNamespace", EEXIST, { detail: path });
  openFile(path, O.RDONLY | O.CREAT, { mode: 0o444 }).close();
  try {
    inNewNamespace(() => {
      prepare();
      mount("/proc/thread-self/ns/net", path, { flags: MS.BIND });
    });
  } catch (error) {
    if (!isNamespaceFile(path)) unlinkSync(path);
    throw error;
  }
}

/** Takes the mount and the file away. The namespace ends with the last process or descriptor in it. */
export function deleteNamespaceFile(path: string): void {
  needCapability(`deleting namespace ${path}`, "CAP_SYS_ADMIN");
  // Two makers of one name at the same moment leave two mounts.
  while (isNamespaceFile(path)) unmount(path, MNT_DETACH);
  unlinkSync(path);
}

export function namespaceFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => isNamespaceFile(`${folder}/${name}`))
    .sort();
}
