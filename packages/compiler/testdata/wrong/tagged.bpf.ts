import { xdp, XDP } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const tag = (text: TemplateStringsArray) => 1; const x = tag`a`;
  return XDP.PASS;
});
