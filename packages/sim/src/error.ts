/** Numbers of include/uapi/asm-generic/errno-base.h and errno.h. */
const numbers = {
  EPERM: 1,
  ENOENT: 2,
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
  ENOLINK: 67,
  EDESTADDRREQ: 89,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOTCONN: 107,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTUNREACH: 113,
  ESTALE: 116,
  ENOTSUPP: 524,
} as const;

export type ErrnoName = keyof typeof numbers;

/** What a kernel would have answered. `errno` is positive. */
export class SimError extends Error {
  override readonly name = "SimError";
  readonly code: string;
  readonly errno: number;
  constructor(code: ErrnoName, message: string) {
    super(`${message}: ${code}`);
    this.code = code;
    this.errno = numbers[code];
  }
}

/** The error of a number that a program chose (bpf_set_retval). */
export function errorOf(errno: number, message: string): Error {
  const found = Object.entries(numbers).find(([, number]) => number === errno);
  if (found) return new SimError(found[0] as ErrnoName, message);
  return Object.assign(new Error(`${message}: errno ${errno}`), { code: `E${errno}`, errno });
}

/** A hook or interface kind that the simulated machine does not have. */
export class NotSupportedError extends Error {
  override readonly name = "NotSupportedError";
  constructor(what: string) {
    super(`the simulated machine has no ${what}`);
  }
}
