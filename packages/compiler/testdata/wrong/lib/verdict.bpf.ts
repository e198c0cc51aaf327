import { XDP, type u32, type u8 } from "@skep/bpf";
export function verdict(length: u32): number {
  const short: u8 = length;
  return short > 64 ? XDP.PASS : XDP.DROP;
}
