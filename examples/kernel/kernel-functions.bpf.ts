// Kernel functions by probes of every kind: which of them a kernel has is its own matter.
import {
  fentry,
  fexit,
  fmodRet,
  global,
  kprobe,
  kprobeMulti,
  kprobeSession,
  kretprobe,
  kretprobeMulti,
  u64,
} from "@skep/bpf";
import type { file, sock } from "./kernel.js";

export const license = "GPL";
export const entered = global("entered", u64);
export const left = global("left", u64);

export const before = kprobe("before", "tcp_v4_connect", (ctx) => {
  entered.value += ctx.arg(0) === 0n ? 0n : 1n;
  return 0;
});
export const after = kretprobe("after", "tcp_v4_connect", (ctx) => {
  if (ctx.returned === 0n) left.value += 1n;
  return 0;
});
export const several = kprobeMulti("several", "tcp_v4_conn*", () => 0);
export const severalBack = kretprobeMulti("several_back", "tcp_v4_conn*", () => 0);
export const both = kprobeSession("both", "tcp_v4_conn*", () => 0);
export const fast = fentry("fast", "tcp_v4_connect", (socket: sock) => {
  if (socket.__sk_common.skc_family === 2) entered.value += 1n;
  return 0;
});
export const fastBack = fexit(
  "fast_back",
  "tcp_v4_connect",
  (socket: sock, _address: u64, _length: number, result: number) => {
    if (result === 0 && socket.__sk_common.skc_num !== 0) left.value += 1n;
    return 0;
  },
);
export const decide = fmodRet("decide", "security_file_open", (opened: file) => (opened.f_pos === 0n ? 0 : -1));
