// A congestion control of our own: Reno with a window that never falls below a floor.
import { atomicAdd, cast, config, global, struct, structOps, u32, u64 } from "@skep/bpf";
import { tcp_cong_avoid_ai, tcp_slow_start, type sock, type tcp_congestion_ops, type tcp_sock } from "./kernel.js";

export const license = "GPL";
export const floor = config("floor", u32, 10);
const Count = struct("Count", { acks: u64, losses: u64 });
export const count = global("count", Count);

export const gentle = structOps<tcp_congestion_ops>("gentle", {
  name: "skep_gentle",
  ssthresh: (socket: sock) => {
    const tp = cast<tcp_sock>(socket);
    atomicAdd(count.value, "losses", 1n);
    const half: u32 = tp.snd_cwnd >>> 1;
    return half < floor.value ? floor.value : half;
  },
  cong_avoid: (socket: sock, _ack: u32, acked: u32) => {
    const tp = cast<tcp_sock>(socket);
    atomicAdd(count.value, "acks", 1n);
    if (tp.snd_cwnd < tp.snd_ssthresh) tcp_slow_start(tp, acked);
    else tcp_cong_avoid_ai(tp, tp.snd_cwnd, acked);
    if (tp.snd_cwnd < floor.value) tp.snd_cwnd = floor.value;
    return 0;
  },
  undo_cwnd: (socket: sock) => {
    const tp = cast<tcp_sock>(socket);
    return tp.snd_cwnd > tp.prior_cwnd ? tp.snd_cwnd : tp.prior_cwnd;
  },
});
