import { netfilter } from "@skep/bpf";
interface bpf_nf_ctx { readonly "~btf"?: "struct bpf_nf_ctx" }
export const main = netfilter("main", (ctx: bpf_nf_ctx) => 3);
