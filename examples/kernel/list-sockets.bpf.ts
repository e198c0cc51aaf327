// TCP sockets as text, and the end of those on a port.
import { config, global, iterator, seqPrint, u16, u64 } from "@skep/bpf";
import { bpf_sock_destroy, type bpf_iter__tcp } from "./kernel.js";

export const license = "GPL";
export const doomed = config("doomed", u16, 0);
export const destroyed = global("destroyed", u64);

export const sockets = iterator("sockets", "tcp", (ctx: bpf_iter__tcp) => {
  const socket = ctx.sk_common;
  if (socket) seqPrint(ctx)`${socket.skc_num} ${socket.skc_state}\n`;
  return 0;
});

export const destroy = iterator("destroy", "tcp", (ctx: bpf_iter__tcp) => {
  const socket = ctx.sk_common;
  if (socket && socket.skc_num === doomed.value && bpf_sock_destroy(socket) === 0) destroyed.value += 1n;
  return 0;
});
