// Programs on a route: one counts what leaves by it, the other cuts what is too long.
import { array, config, lwtOut, lwtXmit, u32, u64 } from "@skep/bpf";
import { Ipv4 } from "@skep/bpf/net";

export const most = config("most", u32, 1000);
/** Packets out (0), sent (1), dropped (2). */
export const counts = array("counts", { value: u64, maxEntries: 3 });
const OK = 0;
const DROP = 2;

function note(index: u32): void {
  const counter = counts.ref(index);
  if (counter) counter.value += 1n;
}

export const out = lwtOut("out", (ctx) => {
  if (ctx.header(Ipv4, 0)) note(0);
  return OK;
});

export const xmit = lwtXmit("xmit", (ctx) => {
  const tooLong = ctx.length > most.value;
  note(tooLong ? 2 : 1);
  return tooLong ? DROP : OK;
});
