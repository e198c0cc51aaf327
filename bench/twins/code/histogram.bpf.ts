// Lengths by powers of two, and in steps of 100 bytes, on tc.
import { array, percpuArray, struct, tc, TC, u32, u64 } from "@skep/bpf";

export const license = "GPL";

const Slots = struct("Slots", { powers: array(u64, 32), steps: array(u64, 18) });
export const lengths = percpuArray("lengths", { value: Slots, maxEntries: 1 });

function log2(value: u32): u32 {
  let rest = value;
  let bit: u32 = rest > 0xffff ? 16 : 0;
  rest >>= bit;
  let shift: u32 = rest > 0xff ? 8 : 0;
  rest >>= shift;
  bit |= shift;
  shift = rest > 0xf ? 4 : 0;
  rest >>= shift;
  bit |= shift;
  shift = rest > 3 ? 2 : 0;
  rest >>= shift;
  bit |= shift;
  return bit | (rest >> 1);
}

export const run = tc("run", (ctx) => {
  const slots = lengths.get(0);
  if (!slots) return TC.OK;
  const length = ctx.length;
  slots.powers[log2(length) & 31]! += 1n;
  let step: u32 = length / 100;
  if (step > 17) step = 17;
  slots.steps[step]! += 1n;
  return TC.OK;
});
