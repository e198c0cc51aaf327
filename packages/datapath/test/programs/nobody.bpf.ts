// A packet out of a tunnel whose number is 0, given to the overlay's program.
import { skbSetTunnelKey, struct, tc, TC, u16, u32, u8 } from "@skep/bpf";
import { calls } from "../../src/bpf/maps.bpf.ts";

export { calls } from "../../src/bpf/maps.bpf.ts";

const TunnelKey = struct("TunnelKey", {
  ...{ id: u32, remote0: u32, remote1: u32, remote2: u32, remote3: u32, tos: u8, ttl: u8, ext: u16, label: u32 },
  ...{ local0: u32, local1: u32, local2: u32, local3: u32 },
});

const LAST = 15;

export const nobody = tc("nobody", (ctx) => {
  const key = TunnelKey.zero();
  key.remote0 = 0xc0000202;
  key.ttl = 64;
  if (skbSetTunnelKey(ctx, key, 0n) < 0n) return TC.UNSPEC;
  calls.tailCall(ctx, LAST);
  return TC.UNSPEC;
});
