import { struct, u32, xdp, XDP, type Of } from "@skep/bpf";
const A = struct("A", { a: u32 });
const B = struct("B", { a: u32, b: u32 });
export const main = xdp("main", (ctx) => {
  const a = A.zero();
  const b: Of<typeof B> = { ...a, b: 1 };
  return b.a === 0 ? XDP.PASS : XDP.DROP;
});
