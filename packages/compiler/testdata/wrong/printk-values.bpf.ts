import { printk, xdp, XDP } from "@skep/bpf";
export const license = "GPL";
export const main = xdp("main", (ctx) => {
  printk`${1} ${2} ${3} ${4} ${5} ${6} ${7} ${8} ${9} ${10} ${11} ${12} ${13}`;
  return XDP.PASS;
});
