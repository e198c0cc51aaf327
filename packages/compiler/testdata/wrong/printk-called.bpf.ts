import { printk, xdp, XDP } from "@skep/bpf";
export const license = "GPL";
export const main = xdp("main", () => {
  (printk as unknown as (text: string) => void)("hello");
  return XDP.PASS;
});
