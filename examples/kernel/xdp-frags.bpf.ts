// Packets of several pages: what lies behind the first one is copied out, and back in.
import { array, struct, u32, u64, u8, xdp, XDP, xdpGetBuffLen, xdpLoadBytes, xdpStoreBytes } from "@skep/bpf";

const Tail = struct("Tail", { bytes: array(u8, 4) });
export const lengths = array("lengths", { value: u64, maxEntries: 1 });

/** Turns the last four bytes around. */
export const turn = xdp(
  "turn",
  (ctx) => {
    const length = u32(xdpGetBuffLen(ctx));
    const seen = lengths.ref(0);
    if (seen) seen.value = u64(length);
    if (length < 4) return XDP.PASS;
    const tail = Tail.zero();
    if (xdpLoadBytes(ctx, length - 4, tail) !== 0n) return XDP.ABORTED;
    const [a, b, c, d] = tail.bytes;
    tail.bytes = [d, c, b, a];
    return xdpStoreBytes(ctx, length - 4, tail) === 0n ? XDP.PASS : XDP.ABORTED;
  },
  { frags: true },
);
