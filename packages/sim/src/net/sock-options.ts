/**
 * @module
 * setsockopt(2) and getsockopt(2) of a process, past the programs of its cgroup (`struct bpf_sockopt`; kernel/bpf/cgroup.c:
 * __cgroup_bpf_run_filter_setsockopt, __cgroup_bpf_run_filter_getsockopt).
 */
import type { KernelObject } from "@skep/vm";
import { errorOf } from "../error.ts";
import type { Sock } from "./sock.ts";

const SIZE = 40;
const [SOCKET, VALUE, VALUE_END, LEVEL, OPTION, LENGTH, RESULT] = [0, 8, 16, 24, 28, 32, 36];
const [EPERM, EFAULT] = [1, 14];
/** What a program sees of a longer value (PAGE_SIZE). */
const MOST = 4096;

export interface SocketOption {
  readonly level: number;
  readonly option: number;
}

interface Seen extends SocketOption {
  value: Uint8Array;
  /** -1: the kernel is not to look at the option. */
  length: number;
  result: number;
}

/** Every program of the cgroup and of those above it; throws EPERM where one refuses, or what bpf_set_retval says. */
function runAll(sock: Sock, attachType: string, seen: Seen): void {
  const { bpf } = sock.namespace.network;
  let answer = 0;
  for (const link of sock.cgroup?.effective(attachType) ?? []) {
    const shown = bpf.vm.createObject("optval", seen.value.subarray(0, MOST));
    shown.allowWrites();
    try {
      const context = encode(sock, seen, shown);
      const place = { returned: answer };
      const result = bpf.run(link.program.program, { context, host: sock.host({ place }) });
      if (result.setReturn !== null) answer = result.setReturn;
      if ((result.returned & 1) === 0 && answer >= 0) answer = -EPERM;
      const view = new DataView(result.context.buffer, result.context.byteOffset);
      seen.value.set(shown.read().subarray(0, Math.min(MOST, seen.value.length)));
      Object.assign(seen, {
        level: view.getInt32(LEVEL, true),
        option: view.getInt32(OPTION, true),
        length: view.getInt32(LENGTH, true),
        result: view.getInt32(RESULT, true),
      });
    } finally {
      shown.close();
    }
  }
  if (answer < 0) throw errorOf(-answer, "an option is refused by a program");
}

function encode(sock: Sock, seen: Seen, shown: KernelObject): Uint8Array {
  const bytes = new Uint8Array(SIZE);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(SOCKET, BigInt(sock.object.address), true);
  view.setBigUint64(VALUE, BigInt(shown.address), true);
  view.setBigUint64(VALUE_END, BigInt(shown.address + Math.min(MOST, seen.value.length)), true);
  view.setInt32(LEVEL, seen.level, true);
  view.setInt32(OPTION, seen.option, true);
  view.setInt32(LENGTH, seen.length, true);
  view.setInt32(RESULT, seen.result, true);
  return bytes;
}

/** Programs may change the value and its length, say which option is meant, and take the option for themselves. Throws `SimError`. */
export function setOption(sock: Sock, which: SocketOption, value: Uint8Array): void {
  const seen: Seen = { ...which, value: value.slice(), length: value.length, result: 0 };
  runAll(sock, "cgroup_setsockopt", seen);
  // The program is the whole handler.
  if (seen.length === -1) return;
  if (seen.length < 0 || seen.length > Math.min(MOST, value.length)) throw errorOf(EFAULT, "setsockopt");
  const answer = sock.setOption(seen.level, seen.option, seen.value.subarray(0, seen.length));
  if (answer < 0) throw errorOf(-answer, "setsockopt");
}

/** What the kernel has, as programs leave it; also of options that only they know. Throws `SimError`. */
export function getOption(sock: Sock, which: SocketOption, size: number): Uint8Array {
  const value = new Uint8Array(size);
  const result = sock.option(which.level, which.option, value);
  const seen: Seen = { ...which, value, length: size, result };
  runAll(sock, "cgroup_getsockopt", seen);
  if (seen.length < 0 || seen.length > size) throw errorOf(EFAULT, "getsockopt");
  // A program may make success of a failure, and nothing else.
  if (seen.result !== 0 && seen.result !== result) throw errorOf(EFAULT, "getsockopt");
  if (seen.result < 0) throw errorOf(-seen.result, "getsockopt");
  return seen.value.subarray(0, seen.length);
}
