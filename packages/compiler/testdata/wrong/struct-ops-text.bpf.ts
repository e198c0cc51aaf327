import { structOps, type FixedArray, type u8 } from "@skep/bpf";
interface tcp_congestion_ops { readonly "~btf"?: "struct tcp_congestion_ops"; name: FixedArray<u8, 16> }
export const ops = structOps<tcp_congestion_ops>("ops", { name: "a name that is much too long" });
