import { SyscallError } from "./error.ts";
import { rawSyscall } from "./library.ts";
import { cString, withPinned } from "./memory.ts";
import { Descriptor } from "./descriptor.ts";

export const O = {
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  CREAT: 0o100,
  EXCL: 0o200,
  TRUNC: 0o1000,
  APPEND: 0o2000,
  NONBLOCK: 0o4000,
  // arm64 has its own O_DIRECTORY (arch/arm64/include/uapi/asm/fcntl.h).
  DIRECTORY: process.arch === "arm64" ? 0o40000 : 0o200000,
  CLOEXEC: 0o2000000,
  PATH: 0o10000000,
} as const;

export const AT_FDCWD = -100;

/** The result, or a thrown `SyscallError` that names `detail`. */
export function checked(call: string, result: number, detail?: string): number {
  if (result < 0) throw new SyscallError(call, -result, detail === undefined ? {} : { detail });
  return result;
}

/** openat(2) with O_CLOEXEC. */
export function openFile(path: string, flags: number, options: { mode?: number; kind?: string } = {}): Descriptor {
  const fd = withPinned([cString(path)], (name) =>
    rawSyscall("openat", AT_FDCWD, name, flags | O.CLOEXEC, options.mode ?? 0),
  );
  return new Descriptor(checked("open", fd, path), options.kind ?? "file");
}

/** As `openFile`, for a path below an open folder. */
export function openBelow(
  folder: Descriptor,
  path: string,
  flags: number,
  options: { mode?: number; kind?: string } = {},
): Descriptor {
  const fd = withPinned([cString(path)], (name) =>
    rawSyscall("openat", folder.fd, name, flags | O.CLOEXEC, options.mode ?? 0),
  );
  return new Descriptor(checked("open", fd, path), options.kind ?? "file");
}

/** The whole of what a descriptor gives until its end. */
export function readAll(descriptor: Descriptor): Uint8Array {
  const parts: Uint8Array[] = [];
  const buffer = new Uint8Array(64 * 1024);
  for (;;) {
    const count = readInto(descriptor.fd, buffer);
    if (count === null || count === 0) break;
    parts.push(buffer.slice(0, count));
  }
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}

/** A file system that is being set up (fsopen(2), Linux 5.2). It belongs to the user namespace of this process. */
export class FileSystemContext {
  readonly descriptor: Descriptor;
  readonly #type: string;

  constructor(type: string, descriptor?: Descriptor) {
    this.#type = type;
    this.descriptor = descriptor ?? new Descriptor(checked("fsopen", openContext(type), type), "filesystem");
  }

  /** Sets an option, such as `mode`. */
  set(key: string, value: string): void {
    const FSCONFIG_SET_STRING = 1;
    const result = withPinned([cString(key), cString(value)], (name, text) =>
      rawSyscall("fsconfig", this.descriptor.fd, FSCONFIG_SET_STRING, name as bigint, text as bigint, 0),
    );
    checked("fsconfig", result, `${key}=${value}`);
  }

  /** Makes the file system. */
  create(): void {
    const FSCONFIG_CMD_CREATE = 6;
    checked("fsconfig", rawSyscall("fsconfig", this.descriptor.fd, FSCONFIG_CMD_CREATE, 0, 0, 0), this.#type);
  }

  /** Its root, mounted nowhere: gone when the descriptor is closed. */
  mount(): Descriptor {
    const FSMOUNT_CLOEXEC = 1;
    const fd = rawSyscall("fsmount", this.descriptor.fd, FSMOUNT_CLOEXEC, 0);
    return new Descriptor(checked("fsmount", fd, this.#type), "mount");
  }

  close(): void {
    this.descriptor.close();
  }
}

function openContext(type: string): number {
  const FSOPEN_CLOEXEC = 1;
  return withPinned([cString(type)], (name) => rawSyscall("fsopen", name, FSOPEN_CLOEXEC));
}

/** A file system that is mounted nowhere: its root as a descriptor. */
export function detachedMount(type: string): Descriptor {
  const context = new FileSystemContext(type);
  try {
    context.create();
    return context.mount();
  } finally {
    context.close();
  }
}

/** How many bytes were read into `into`; null where the call would block. */
export function readInto(fd: number, into: Uint8Array): number | null {
  const result = withPinned([into], (address) => rawSyscall("read", fd, address, into.byteLength));
  return result === -11 ? null : checked("read", result);
}

/** How many bytes were written. */
export function writeBytes(fd: number, bytes: Uint8Array): number {
  return checked(
    "write",
    withPinned([bytes], (address) => rawSyscall("write", fd, address, bytes.byteLength)),
  );
}

/** A file in memory that other calls take by descriptor. */
export function memoryFile(name: string): Descriptor {
  const MFD_CLOEXEC = 1;
  return new Descriptor(
    checked(
      "memfd_create",
      withPinned([cString(name)], (address) => rawSyscall("memfd_create", address, MFD_CLOEXEC)),
    ),
    "memfd",
  );
}

/** ioctl(2) with a number. */
export function ioctlValue(fd: number, request: number, value: number, detail?: string): number {
  return checked("ioctl", rawSyscall("ioctl", fd, request, value), detail);
}

/** ioctl(2) with a buffer that the kernel reads and writes. */
export function ioctlBuffer(fd: number, request: number, buffer: Uint8Array, detail?: string): number {
  return checked(
    "ioctl",
    withPinned([buffer], (address) => rawSyscall("ioctl", fd, request, address)),
    detail,
  );
}

const F_GETFL = 3;
const F_SETFL = 4;

export function setNonBlocking(fd: number): void {
  const flags = checked("fcntl", rawSyscall("fcntl", fd, F_GETFL, 0));
  checked("fcntl", rawSyscall("fcntl", fd, F_SETFL, flags | O.NONBLOCK));
}

/** The magic number of the file system that holds `path` (statfs `f_type`), or null where there is no such path. */
export function fileSystemType(path: string): number | null {
  const out = new Uint8Array(120);
  const result = withPinned([cString(path), out], (name, buffer) => rawSyscall("statfs", name, buffer));
  if (result === -2) return null;
  checked("statfs", result, path);
  return new DataView(out.buffer).getUint32(0, true);
}

export const BPF_FS_MAGIC = 0xcafe4a11;
export const CGROUP2_SUPER_MAGIC = 0x63677270;
export const NSFS_MAGIC = 0x6e736673;
export const TRACEFS_MAGIC = 0x74726163;

/** mount(2). */
export function mount(source: string, target: string, options: { type?: string; flags?: number; data?: string }): void {
  const { type = "", flags = 0, data = "" } = options;
  checked(
    "mount",
    withPinned([source, target, type, data].map(cString), (from, to, kind, text) =>
      rawSyscall(
        "mount",
        from as bigint,
        to as bigint,
        type ? (kind as bigint) : 0,
        flags,
        data ? (text as bigint) : 0,
      ),
    ),
    `${type || source} on ${target}`,
  );
}

/** umount2(2). */
export function unmount(target: string, flags = 0): void {
  checked(
    "umount2",
    withPinned([cString(target)], (address) => rawSyscall("umount2", address, flags)),
    target,
  );
}

export const MS = {
  NOSUID: 2,
  NODEV: 4,
  NOEXEC: 8,
  REMOUNT: 32,
  BIND: 4096,
  REC: 16384,
  PRIVATE: 1 << 18,
  SHARED: 1 << 20,
} as const;
export const MNT_DETACH = 2;
