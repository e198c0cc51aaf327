import { SyscallError } from "./error.ts";
import { rawSyscall, syscall } from "./library.ts";

const open = new Map<string, number>();

function count(kind: string, step: number): void {
  open.set(kind, (open.get(kind) ?? 0) + step);
}

/** How many descriptors the library holds open, in all or of one kind. For leak tests. */
export function openDescriptors(kind?: string): number {
  if (kind !== undefined) return open.get(kind) ?? 0;
  return [...open.values()].reduce((sum, each) => sum + each, 0);
}

/** Owns one file descriptor. Closed once; using it afterwards throws instead of reaching whatever got its number. */
export class Descriptor {
  readonly kind: string;
  #fd: number;

  /** Takes over `fd`. */
  constructor(fd: number, kind: string) {
    if (!Number.isInteger(fd) || fd < 0) throw new RangeError(`${kind}: ${fd} is no file descriptor`);
    this.#fd = fd;
    this.kind = kind;
    count(kind, 1);
  }

  /** Throws `SyscallError` EBADF after `close`. */
  get fd(): number {
    if (this.#fd < 0) throw new SyscallError("use", 9, { detail: `of a closed ${this.kind}` });
    return this.#fd;
  }

  get isClosed(): boolean {
    return this.#fd < 0;
  }

  /** A second descriptor (close-on-exec) of the same open file. */
  duplicate(): Descriptor {
    const F_DUPFD_CLOEXEC = 1030;
    return new Descriptor(syscall("fcntl", this.fd, F_DUPFD_CLOEXEC, 0), this.kind);
  }

  /** Gives the number away: the caller closes it. */
  release(): number {
    const fd = this.fd;
    this.#fd = -1;
    count(this.kind, -1);
    return fd;
  }

  close(): void {
    if (this.#fd < 0) return;
    const fd = this.release();
    // Linux frees the number whatever close(2) answers; only EBADF means that somebody else closed it: a defect.
    const result = rawSyscall("close", fd);
    if (result === -9) throw new SyscallError("close", 9, { detail: `${this.kind} ${fd}` });
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
