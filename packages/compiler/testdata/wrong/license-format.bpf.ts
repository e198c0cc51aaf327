import { array, format, struct, tc, u8 } from "@skep/bpf";
const T = struct("T", { text: array(u8, 16) });
export const main = tc("main", (ctx) => {
  const text = T.zero();
  format(text.text)`${ctx.length}`;
  return 0;
});
