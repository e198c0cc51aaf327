// Clamps the maximum segment size of SYN segments, as at the entrance of a tunnel. The option is found and rewritten where it stands.
import {
  array,
  be16,
  config,
  l4CsumReplace,
  skbLoadBytes,
  skbStoreBytes,
  struct,
  tc,
  TC,
  u16,
  u64,
  u8,
} from "@skep/bpf";
import { Ethernet, Ipv4, PROTOCOL, Tcp, TCP_FLAG } from "@skep/bpf/net";
import { findTcpOption } from "@skep/bpf/parse";

export const most = config("most", u16, 1400);
const MSS = 2;
const Option = struct("Option", { kind: u8, length: u8, value: be16 });
const Two = struct("Two", { bytes: array(u8, 2) });

export const clamp = tc("clamp", (ctx) => {
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ip || ip.ihl !== 5 || ip.protocol !== PROTOCOL.TCP) return TC.OK;
  const start = Ethernet.size + Ipv4.size;
  const tcp = ctx.header(Tcp, start);
  if (!tcp || (tcp.flags & TCP_FLAG.SYN) === 0) return TC.OK;
  const at = findTcpOption(ctx, start, MSS);
  if (at === null) return TC.OK;
  const option = Option.zero();
  if (skbLoadBytes(ctx, at, option) !== 0n || option.length !== 4 || option.value <= most.value) return TC.OK;
  // A value at an odd place is in the sum with its bytes changed round.
  const odd = ((at - start) & 1) !== 0;
  const before = u64(odd ? option.value : swap(option.value));
  const after = u64(odd ? most.value : swap(most.value));
  if (skbStoreBytes(ctx, at + 2, { ...Two.zero(), bytes: [u8(most.value >> 8), u8(most.value)] }, 0n) !== 0n)
    return TC.SHOT;
  l4CsumReplace(ctx, start + 16, before, after, 2n);
  return TC.OK;
});

function swap(value: u16): u16 {
  return (value << 8) | (value >> 8);
}
