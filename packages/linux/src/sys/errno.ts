import { constants } from "node:os";

/** Numbers by name, for comparing. `ENOTSUPP` is the kernel's own (include/linux/errno.h) and escapes from some BPF commands. */
export const errno: Readonly<Record<string, number>> = { ...constants.errno, ENOTSUPP: 524 };

const names = new Map<number, string>();
// EAGAIN before EWOULDBLOCK, EOPNOTSUPP before ENOTSUP: the kernel's own spelling.
for (const [name, number] of Object.entries(errno)) {
  if (name !== "EWOULDBLOCK" && name !== "ENOTSUP") names.set(number, name);
}

const meanings: Readonly<Record<string, string>> = {
  E2BIG: "argument too large",
  EACCES: "permission denied",
  EADDRINUSE: "address in use",
  EADDRNOTAVAIL: "address not available",
  EAFNOSUPPORT: "address family not supported",
  EAGAIN: "try again",
  EBADF: "bad file descriptor",
  EBUSY: "in use",
  ECHILD: "no child process",
  ECONNABORTED: "connection aborted",
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  EEXIST: "exists already",
  EFAULT: "bad address",
  EFBIG: "too large",
  EHOSTUNREACH: "no route to host",
  EINPROGRESS: "in progress",
  EINTR: "interrupted",
  EINVAL: "invalid argument",
  EIO: "input/output error",
  EISDIR: "is a directory",
  ELOOP: "too many levels",
  EMFILE: "too many open files",
  EMSGSIZE: "message too long",
  ENAMETOOLONG: "name too long",
  ENETUNREACH: "network unreachable",
  ENFILE: "too many open files in the system",
  ENODEV: "no such device",
  ENOENT: "no such file or entry",
  ENOMEM: "out of memory",
  ENOSPC: "no space left",
  ENOSYS: "the kernel does not have this call",
  ENOTCONN: "not connected",
  ENOTDIR: "not a directory",
  ENOTEMPTY: "not empty",
  ENOTSUPP: "not supported by the kernel",
  ENXIO: "no such device or address",
  EOPNOTSUPP: "operation not supported",
  EPERM: "operation not permitted",
  EPROTONOSUPPORT: "protocol not supported",
  ERANGE: "out of range",
  ESRCH: "no such process",
  ETIMEDOUT: "timed out",
};

/** `EPERM` for 1; `E999` for a number without a name. */
export function codeOf(number: number): string {
  return names.get(number) ?? `E${number}`;
}

export function describeErrno(number: number): string {
  return meanings[codeOf(number)] ?? `error ${number}`;
}
