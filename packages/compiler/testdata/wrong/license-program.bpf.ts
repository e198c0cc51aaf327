import { lsm, structOps } from "@skep/bpf";
interface tcp_congestion_ops {
  readonly "~btf"?: "struct tcp_congestion_ops";
  readonly init: { readonly "~pointer"?: (sk: object) => void };
  readonly name: (number & { readonly "~int"?: "u8" })[] & { readonly length: 16 };
}
export const open = lsm("open", "file_open", () => 0);
export const congestion = structOps<tcp_congestion_ops>("congestion", { init: () => 0, name: "skep" });
