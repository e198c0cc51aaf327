import { mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { BPF_FS_MAGIC, Descriptor, fileSystemType, mount, MS, unmount } from "../sys/index.ts";
import { Attributes, bpfChecked } from "./attributes.ts";

/** BPF_OBJ_PIN. Throws EEXIST where something is pinned, EINVAL where the folder is not on a BPF file system. */
export function pinObject(fd: number, path: string): void {
  new Attributes().text(0, resolve(path)).u32(8, fd).run("obj_pin", path);
}

/** BPF_OBJ_GET: a descriptor of what is pinned, of whatever kind; null where nothing is. */
export function openPinned(
  path: string,
  kind: string,
  options: { readonly readOnly?: boolean } = {},
): Descriptor | null {
  const BPF_F_RDONLY = 8;
  const attributes = new Attributes().text(0, resolve(path)).u32(12, options.readOnly ? BPF_F_RDONLY : 0);
  const result = attributes.try("obj_get");
  if (result === -2) return null;
  return new Descriptor(bpfChecked("obj_get", result, path), kind);
}

/** The nearest folder above `path`, or itself, that is there. */
function existing(path: string): string {
  for (let at = path; ; at = dirname(at)) if (fileSystemType(at) !== null) return at;
}

/** The usual place, which is mounted rather than a folder in it. */
const USUAL = "/sys/fs/bpf";

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
  const isUsual = path === USUAL || path.startsWith(`${USUAL}/`);
  const mountPoint = isUsual && fileSystemType(USUAL) !== null ? USUAL : path;
  mkdirSync(mountPoint, { recursive: true });
  mount("bpf", mountPoint, { type: "bpf", flags: MS.NOSUID | MS.NODEV | MS.NOEXEC, data: "mode=0700" });
  mkdirSync(path, { recursive: true, mode: 0o700 });
  return { mounted: true, mountPoint };
}

/** Takes away what `preparePins` mounted. */
export function unmountPins(mountPoint: string): void {
  unmount(mountPoint);
}

/** Names of what is pinned in a folder, without its folders; empty where there is no folder. */
export function pinsIn(folder: string): string[] {
  if (fileSystemType(folder) === null) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

/** Removes a pin; nothing happens where there is none. Throws where the path is a folder. */
export function unpin(path: string): void {
  rmSync(path, { force: true });
}

/** Removes a folder of pins and everything in it. */
export function removePinFolder(folder: string): void {
  if (fileSystemType(folder) === null) return;
  for (const entry of readdirSync(folder)) {
    const path = join(folder, entry);
    if (statSync(path).isDirectory()) removePinFolder(path);
    else unpin(path);
  }
  rmSync(folder, { recursive: true });
}
