import { mkdirSync, readdirSync, readFileSync, readlinkSync, realpathSync, rmdirSync, rmSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { BPF_FS_MAGIC, Descriptor, fileSystemType, isErrno, MNT_DETACH, mount, MS, unmount } from "../sys/index.ts";
import { needCapability } from "../net/privilege.ts";
import { Attributes, bpfChecked } from "./attributes.ts";

/** BPF_OBJ_PIN. Throws EEXIST where something is pinned, EINVAL where the folder is not on a BPF file system. */
export function pinObject(fd: number, path: string): void {
  new Attributes().text(0, resolve(path)).u32(8, fd).run("obj_pin", path);
}

/** BPF_OBJ_GET: a descriptor of what is pinned; null where nothing is. Throws `PinKindError`. */
export function openPinned(
  path: string,
  kind: "map" | "program" | "link",
  options: { readonly readOnly?: boolean } = {},
): Descriptor | null {
  const BPF_F_RDONLY = 8;
  const attributes = new Attributes().text(0, resolve(path)).u32(12, options.readOnly ? BPF_F_RDONLY : 0);
  const result = attributes.try("obj_get");
  if (result === -2) return null;
  const descriptor = new Descriptor(bpfChecked("obj_get", result, path), kind);
  const found = kindOf(descriptor.fd);
  if (found === kind) return descriptor;
  descriptor.close();
  throw new PinKindError(path, kind, found);
}

/** Something else is pinned than what was asked for. */
export class PinKindError extends Error {
  override readonly name = "PinKindError";
  readonly path: string;

  constructor(path: string, wanted: string, found: string) {
    super(`${path} is a ${found}, not a ${wanted}`);
    this.path = path;
  }
}

const kinds: Readonly<Record<string, string>> = {
  "anon_inode:bpf-map": "map",
  "anon_inode:bpf-prog": "program",
  "anon_inode:bpf_link": "link",
  "anon_inode:bpf-link": "link",
};

function kindOf(fd: number): string {
  const target = readlinkSync(`/proc/self/fd/${fd}`);
  return kinds[target] ?? target;
}

/** The nearest folder above `path`, or itself, that is there. */
function existing(path: string): string {
  for (let at = path; ; at = dirname(at)) if (fileSystemType(at) !== null) return at;
}

/** The usual place, which is mounted rather than a folder in it. */
const USUAL = "/sys/fs/bpf";

/** The source that the mount table shows for what `preparePins` mounted: how a later process knows it. */
const OURS = "skep";

export interface PreparedPins {
  /** Whether a BPF file system was mounted here and now. */
  readonly mounted: boolean;
  /** Where, when it was. */
  readonly mountPoint?: string;
}

/**
 * Makes the folder on a BPF file system: on the one that is there, else on a new one at `/sys/fs/bpf` for folders below it, else on
 * a new one at the folder itself.
 */
export function preparePins(folder: string): PreparedPins {
  const path = resolve(folder);
  if (fileSystemType(existing(path)) === BPF_FS_MAGIC) {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return { mounted: false };
  }
  needCapability(`mounting a BPF file system for ${path}`, "CAP_SYS_ADMIN");
  const isUsual = path === USUAL || path.startsWith(`${USUAL}/`);
  const mountPoint = isUsual && fileSystemType(USUAL) !== null ? USUAL : path;
  mkdirSync(mountPoint, { recursive: true });
  mount(OURS, mountPoint, { type: "bpf", flags: MS.NOSUID | MS.NODEV | MS.NOEXEC, data: "mode=0700" });
  mkdirSync(path, { recursive: true, mode: 0o700 });
  return { mounted: true, mountPoint };
}

/** Takes away what `preparePins` mounted; nothing happens where nothing is mounted any more. */
export function unmountPins(mountPoint: string): void {
  try {
    unmount(mountPoint);
  } catch (error) {
    if (!isErrno(error, "EINVAL", "ENOENT")) throw error;
  }
}

/** Whether the file system at this mount point is one that `preparePins` mounted (proc_pid_mountinfo(5)). */
function isOurMount(mountPoint: string): boolean {
  const real = realpathSync(mountPoint);
  const unescape = (text: string) =>
    text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
  // The last one is on top.
  const line = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .findLast((each) => unescape(each.split(" ")[4] ?? "") === real);
  const [type, source] = line?.split(" - ")[1]?.split(" ") ?? [];
  return type === "bpf" && source === OURS;
}

/** Names of what is pinned in a folder, without its folders; empty where there is no folder. */
export function pinsIn(folder: string): string[] {
  if (fileSystemType(folder) === null) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => !entry.isDirectory() && !isKernels(entry.name))
    .map((entry) => entry.name)
    .sort();
}

/** Removes a pin; nothing happens where there is none. Throws where the path is a folder. */
export function unpin(path: string): void {
  rmSync(path, { force: true });
}

/** Names with a dot are the kernel's own, such as `maps.debug`: nothing can be pinned under them (bpf_lookup, kernel/bpf/inode.c). */
function isKernels(name: string): boolean {
  return name.includes(".");
}

/**
 * Removes everything in a folder of pins, and the folder. A file system that is mounted there goes where `preparePins` mounted it for this
 * folder; another one, and the one at the usual place, stays.
 */
export function removePinFolder(folder: string): void {
  const path = resolve(folder);
  if (fileSystemType(path) === null) return;
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (isKernels(entry.name)) continue;
    const below = join(path, entry.name);
    if (entry.isDirectory()) removePinFolder(below);
    else unpin(below);
  }
  const isMountPoint = statSync(path).dev !== statSync(dirname(path)).dev;
  if (isMountPoint && (path === USUAL || !isOurMount(path))) return;
  if (isMountPoint) unmount(path, MNT_DETACH);
  rmdirSync(path);
}
