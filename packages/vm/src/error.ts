/** Where and why a program was stopped. */
export type VmErrorKind =
  /** An access outside of every object, across an object's end, or a write to what is read-only. */
  | "memory"
  /** More than 512 bytes of stack in all frames together. */
  | "stack"
  /** More than 8 frames. */
  | "call-depth"
  /** An instruction that does not exist. */
  | "opcode"
  /** A jump or call that ends outside of the program, or running past its end. */
  | "jump"
  /** A function that this machine does not have. */
  | "helper"
  /** An argument that the kernel's verifier would have refused. */
  | "argument"
  /** The instruction budget is used up. */
  | "budget";

export interface SourceLine {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly text: string;
}

/** A program did what no verified program can do, or ran for too long. */
export class VmError extends Error {
  override readonly name = "VmError";
  readonly kind: VmErrorKind;
  /** Program that ran, after tail calls. */
  readonly program: string;
  /** Index of the instruction (not its slot). */
  readonly index: number;
  readonly source: SourceLine | null;

  constructor(
    kind: VmErrorKind,
    message: string,
    place: { readonly program: string; readonly index: number; readonly source: SourceLine | null },
  ) {
    const where = place.source === null ? "" : ` (${place.source.file}:${place.source.line})`;
    super(`${place.program}: instruction ${place.index}${where}: ${message}`);
    this.kind = kind;
    this.program = place.program;
    this.index = place.index;
    this.source = place.source;
  }
}

/** A trap before the interpreter adds the place. */
export class Trap extends Error {
  readonly kind: VmErrorKind;
  constructor(kind: VmErrorKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

/** An object that this machine cannot load. */
export class LoadError extends Error {
  override readonly name: string = "LoadError";
}

/** A helper, kernel function or kernel symbol that this machine does not have. */
export class UnsupportedError extends LoadError {
  /** Such as `bpf_get_stack`. */
  readonly missing: string;
  readonly program: string;
  constructor(program: string, missing: string) {
    super(`${program} calls ${missing}, which this machine does not have`);
    this.missing = missing;
    this.program = program;
  }
}

/** Numbers of include/uapi/asm-generic/errno-base.h and errno.h. */
export const errno = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ENOSPC: 28,
  ERANGE: 34,
  EDEADLK: 35,
  ENODATA: 61,
  EOVERFLOW: 75,
  EPROTONOSUPPORT: 93,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
  ENETDOWN: 100,
  ENOTSUPP: 524,
} as const;
export type ErrnoName = keyof typeof errno;

/** A map operation of user space failed as it fails in the kernel. */
export class MapError extends Error {
  override readonly name = "MapError";
  readonly code: string;
  /** Positive. */
  readonly errno: number;
  constructor(operation: string, map: string, number: number) {
    const code = Object.entries(errno).find(([, value]) => value === number)?.[0] ?? `E${number}`;
    super(`${operation} of map ${map}: ${code}`);
    this.code = code;
    this.errno = number;
  }
}
