// What a packet socket gets to see: DNS questions alone, cut to their first 128 bytes.
import { be16, skbLoadBytesRelative, socketFilter, struct, u8 } from "@skep/bpf";
import { ETHERTYPE, PROTOCOL } from "@skep/bpf/net";

/** BPF_HDR_START_NET: offsets count from the network header, whatever the packet begins with. */
const NETWORK = 1;

const Word = struct("Word", { value: be16 });
const Byte = struct("Byte", { value: u8 });

export const questions = socketFilter("questions", (ctx) => {
  if (ctx.protocol !== ETHERTYPE.IPV4) return 0;
  const protocol = Byte.zero();
  const port = Word.zero();
  if (skbLoadBytesRelative(ctx, 9, protocol, NETWORK) !== 0n || protocol.value !== PROTOCOL.UDP) return 0;
  if (skbLoadBytesRelative(ctx, 20 + 2, port, NETWORK) !== 0n || port.value !== 53) return 0;
  return 128;
});
