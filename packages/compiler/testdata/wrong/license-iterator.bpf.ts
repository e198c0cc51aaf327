import { numbers, setBits, array, struct, tc, TC, u64 } from "@skep/bpf";
const Bits = struct("Bits", { words: array(u64, 2) });
export const main = tc("main", () => {
  for (const i of numbers(0, 100)) if (i > 50) break;
  const bits = Bits.zero();
  for (const bit of setBits(bits.words)) if (bit > 50) break;
  return TC.OK;
});
