import { cast, tc, type u32 } from "@skep/bpf";
interface tcp_sock { readonly "~btf"?: "struct tcp_sock"; snd_cwnd: u32 }
export const main = tc("main", (ctx) => cast<tcp_sock>(ctx).snd_cwnd);
