import { rawSyscall } from "./library.ts";
import type { Descriptor } from "./descriptor.ts";
import { checked, O, openFile } from "./file.ts";

export const CLONE = {
  NEWTIME: 0x80,
  NEWNS: 0x20000,
  NEWCGROUP: 0x2000000,
  NEWUTS: 0x4000000,
  NEWIPC: 0x8000000,
  NEWUSER: 0x10000000,
  NEWPID: 0x20000000,
  NEWNET: 0x40000000,
} as const;

/** setns(2): moves this thread alone. */
export function setns(fd: number, type: number): void {
  checked("setns", rawSyscall("setns", fd, type));
}

export function unshare(flags: number): void {
  checked("unshare", rawSyscall("unshare", flags));
}

/** The network namespace of this thread (not of the process: the two differ inside `inNamespace` of a worker). */
export function currentNamespace(): Descriptor {
  return openFile("/proc/thread-self/ns/net", O.RDONLY, { kind: "namespace" });
}

export function openNamespaceFile(path: string): Descriptor {
  return openFile(path, O.RDONLY, { kind: "namespace" });
}

/** A way back failed: the thread is in the wrong namespace and nothing that it does can be trusted. */
class LostNamespaceError extends Error {
  override readonly name = "LostNamespaceError";
}

function withReturn<T>(enter: () => void, run: () => T): T {
  const home = currentNamespace();
  try {
    enter();
    try {
      const result = run();
      if (result instanceof Promise) throw new TypeError("inNamespace: the function must not be async");
      return result;
    } finally {
      try {
        setns(home.fd, CLONE.NEWNET);
      } catch (cause) {
        // oxlint-disable-next-line no-unsafe-finally
        throw new LostNamespaceError("cannot return to the network namespace", { cause });
      }
    }
  } finally {
    home.close();
  }
}

/**
 * Runs `run` with this thread in another network namespace, and comes back whatever happens. `run` must be synchronous: an await
 * would let the rest of the program run in the foreign namespace; one that gives a promise is a TypeError.
 */
export function inNamespace<T>(where: string | Descriptor, run: () => T): T {
  const target = typeof where === "string" ? openNamespaceFile(where) : where;
  try {
    return withReturn(() => setns(target.fd, CLONE.NEWNET), run);
  } finally {
    if (typeof where === "string") target.close();
  }
}

/** Makes a network namespace, runs `run` in it and comes back. The namespace lives on only where `run` keeps it (a bind mount, a descriptor). */
export function inNewNamespace<T>(run: () => T): T {
  return withReturn(() => unshare(CLONE.NEWNET), run);
}
