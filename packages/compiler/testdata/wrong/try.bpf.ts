import { XDP, xdp } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  try {
    return XDP.DROP;
  } finally {
  }
  return XDP.PASS;
});
