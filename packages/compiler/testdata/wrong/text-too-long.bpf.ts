import { array, struct, text, u8, xdp, XDP } from "@skep/bpf";
const Name = struct("Name", { name: array(u8, 4) });
export const main = xdp("main", () => {
  const name = { ...Name.zero(), name: text("eth-long", 4) };
  return name.name[0] === 1 ? XDP.DROP : XDP.PASS;
});
