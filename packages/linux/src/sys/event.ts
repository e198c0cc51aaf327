import { rawPoll, rawSyscall } from "./library.ts";
import { Descriptor } from "./descriptor.ts";
import { withPinned } from "./memory.ts";
import { checked } from "./file.ts";

export interface Watch {
  /** Stops and lets go of the descriptor, which the caller may close afterwards. */
  close(): void;
  /** Lets the process end although the watch is on. */
  unref(): void;
  ref(): void;
}

/**
 * Calls `onReadable` in the event loop whenever the descriptor has something to read, until closed. No thread is used. libuv
 * makes the descriptor non-blocking.
 */
export function watchReadable(descriptor: Descriptor, onReadable: () => void, onError?: (error: Error) => void): Watch {
  return watch(descriptor, { readable: true }, { onReady: onReadable, onError });
}

/** As `watchReadable`, for when the descriptor takes something. */
export function watchWritable(descriptor: Descriptor, onWritable: () => void, onError?: (error: Error) => void): Watch {
  return watch(descriptor, { writable: true }, { onReady: onWritable, onError });
}

function watch(
  descriptor: Descriptor,
  events: { readonly readable?: boolean; readonly writable?: boolean },
  { onReady, onError }: { onReady: () => void; onError: ((error: Error) => void) | undefined },
): Watch {
  let open = true;
  const handle = rawPoll(descriptor.fd, events, (status) => {
    if (!open) return;
    if (status >= 0) return onReady();
    close();
    const error = new Error(`poll of a ${descriptor.kind} failed with status ${status}`);
    if (!onError) throw error;
    onError(error);
  });
  const close = () => {
    if (!open) return;
    open = false;
    handle.close();
  };
  return { close, unref: () => handle.unref(), ref: () => handle.ref() };
}

/** eventfd(2), non-blocking. */
export function eventDescriptor(initial = 0): Descriptor {
  const EFD_CLOEXEC_NONBLOCK = 0o2004000;
  return new Descriptor(checked("eventfd", rawSyscall("eventfd2", initial, EFD_CLOEXEC_NONBLOCK)), "eventfd");
}

/** pidfd_open(2). Readable once the process has ended. */
export function processDescriptor(pid: number): Descriptor {
  return new Descriptor(checked("pidfd_open", rawSyscall("pidfd_open", pid, 0), `process ${pid}`), "pidfd");
}

/** pidfd_getfd(2): a descriptor of another process, as our own. */
export function takeDescriptor(process: Descriptor, fd: number, kind: string): Descriptor {
  return new Descriptor(checked("pidfd_getfd", rawSyscall("pidfd_getfd", process.fd, fd, 0), `${fd}`), kind);
}

/** pidfd_send_signal(2); false where the process has ended. */
export function signalProcess(descriptor: Descriptor, signal: number): boolean {
  const result = rawSyscall("pidfd_send_signal", descriptor.fd, signal, 0, 0);
  if (result === -3) return false;
  checked("pidfd_send_signal", result);
  return true;
}

const POLLIN = 1;
const POLLOUT = 4;

/** poll(2) on one descriptor without the event loop. `milliseconds` blocks this thread: keep it short. */
function pollOne(fd: number, events: number, milliseconds: number): boolean {
  const set = new DataView(new ArrayBuffer(8));
  set.setInt32(0, fd, true);
  set.setInt16(4, events, true);
  const timeout = new DataView(new ArrayBuffer(16));
  timeout.setBigInt64(0, BigInt(Math.floor(milliseconds / 1000)), true);
  timeout.setBigInt64(8, BigInt(Math.round((milliseconds % 1000) * 1e6)), true);
  const buffers = [new Uint8Array(set.buffer), new Uint8Array(timeout.buffer)];
  const result = withPinned(buffers, (fds, time) => rawSyscall("ppoll", fds as bigint, 1, time as bigint, 0, 8));
  const EINTR = -4;
  return checked("poll", result === EINTR ? 0 : result) > 0;
}

export function isReadable(fd: number, milliseconds = 0): boolean {
  return pollOne(fd, POLLIN, milliseconds);
}

export function isWritable(fd: number, milliseconds = 0): boolean {
  return pollOne(fd, POLLOUT, milliseconds);
}
