import { codeOf, describeErrno } from "./errno.ts";

/** What is known about a failed call beyond its number. */
export interface SyscallContext {
  /** What was being done, such as a file's name or a command; part of the message. */
  readonly detail?: string;
  readonly cause?: unknown;
}

/** A system call that failed. The message is one line: the call, what it was about, the error's name and meaning. */
export class SyscallError extends Error {
  override readonly name: string = "SyscallError";
  /** Such as `setns` or `bpf(MAP_CREATE)`. */
  readonly call: string;
  readonly errno: number;
  /** Such as `EPERM`. */
  readonly code: string;

  constructor(call: string, errno: number, context: SyscallContext = {}) {
    const code = codeOf(errno);
    const about = context.detail ? ` ${context.detail}` : "";
    super(
      `${call}${about}: ${code}: ${describeErrno(errno)}`,
      context.cause === undefined ? {} : { cause: context.cause },
    );
    this.call = call;
    this.errno = errno;
    this.code = code;
  }
}

/** Whether `error` is a failed system call with one of the codes. */
export function isErrno(error: unknown, ...codes: readonly string[]): error is SyscallError {
  return error instanceof SyscallError && codes.includes(error.code);
}
