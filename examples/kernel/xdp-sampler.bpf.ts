// One of so many packets goes to user space: its first bytes, in a record that is as long as they are.
import { array, config, getPrandomU32, ringBuf, struct, u32, u64, u8, xdp, XDP } from "@skep/bpf";

export const license = "GPL";
export const every = config("every", u32, 1);

const Head = struct("Head", { length: u32, captured: u32 });
const Chunk = struct("Chunk", { bytes: array(u8, 16) });
export const samples = ringBuf("samples", Head, { bytes: 1 << 16 });

const CHUNKS = 4;

export const sample = xdp("sample", (ctx) => {
  if (every.value !== 0 && getPrandomU32() % every.value !== 0) return XDP.PASS;
  const record = samples.reserveBytes(Head.size + CHUNKS * Chunk.size);
  const head = record.data(Head, 0n);
  if (!head) {
    samples.discardBytes(record);
    return XDP.PASS;
  }
  head.length = ctx.length;
  let captured: u32 = 0;
  for (let at = 0; at < CHUNKS; at++) {
    const from = ctx.header(Chunk, at * Chunk.size);
    if (!from) break;
    const to = record.data(Chunk, 8n + 16n * u64(at));
    if (!to) break;
    to.bytes = from.bytes;
    captured += Chunk.size;
  }
  head.captured = captured;
  samples.submitBytes(record);
  return XDP.PASS;
});
