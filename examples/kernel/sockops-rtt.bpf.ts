// Round trips of every connection as a histogram by powers of two, and its states as they change.
import { array, sockOps, sockOpsCbFlagsSet, u32, u64 } from "@skep/bpf";
import { log2 } from "@skep/bpf/stats";

export const histogram = array("histogram", { value: u64, maxEntries: 32 });
/** By the state that a connection enters (TCP_ESTABLISHED is 1). */
export const states = array("states", { value: u64, maxEntries: 16 });

const OP = { ACTIVE_ESTABLISHED: 4, PASSIVE_ESTABLISHED: 5, STATE: 10, RTT: 12 } as const;
const RTT_CALLBACK = 8;
const STATE_CALLBACK = 4;

export const events = sockOps("events", (ctx) => {
  switch (ctx.op) {
    case OP.ACTIVE_ESTABLISHED:
    case OP.PASSIVE_ESTABLISHED:
      sockOpsCbFlagsSet(ctx, RTT_CALLBACK | STATE_CALLBACK);
      break;
    case OP.RTT: {
      // In eighths of a microsecond.
      const slot: u32 = log2(u64(ctx.srttUs >>> 3));
      const bucket = histogram.ref(slot);
      if (bucket) bucket.value += 1n;
      break;
    }
    case OP.STATE: {
      const entered = states.ref(ctx.args[1]);
      if (entered) entered.value += 1n;
      break;
    }
  }
  return 1;
});
