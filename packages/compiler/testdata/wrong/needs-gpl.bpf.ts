import { XDP, printk, xdp } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  printk`hello`;
  return XDP.PASS;
});
