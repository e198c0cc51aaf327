import { printk, xdp, XDP } from "@skep/bpf";
export const license = "GPL";
export const main = xdp("main", (ctx) => {
  printk`${1} ${2} ${3} ${4}`;
  return XDP.PASS;
});
