import { netfilter } from "@skep/bpf";
export const main = netfilter("main", (ctx: { skb: number }) => 1);
