// Rates of workloads: what leaves the node is given a departure time where a queue keeps to it (fq), else what is too much is dropped; so is what
// comes in too fast. Cilium's bandwidth manager (bpf/lib/edt.h).
import { config, hash, ktimeGetNs, struct, u32, u64, u8, type TcContext } from "@skep/bpf";
import { DROP } from "./packet.bpf.ts";

/** Queues of the outer interfaces send packets at the times that they bear. */
export const departureTimes = config("departure_times", u8, 0);

export const ThrottleKey = struct("ThrottleKey", { endpoint: u32, direction: u32 });
export const Throttle = struct("Throttle", {
  /** Bytes a second. */
  rate: u64,
  /** Nanoseconds of CLOCK_MONOTONIC when everything so far has gone at that rate. */
  next: u64,
});
export const throttles = hash("skep_throttle", { key: ThrottleKey, value: Throttle, maxEntries: 131_072 });

/** Endpoint.flags: it has a rate in that direction. */
export const LIMITED_EGRESS = 1;
export const LIMITED_INGRESS = 2;

const SECOND = 1_000_000_000n;
/** What would leave later than this does not leave. */
const HORIZON = 2_000_000_000n;
/** As much as the rate gives in this time may come at once. */
const BURST = 100_000_000n;

/** Drops what is above the rate. 0 or a drop code. */
export function police(ctx: TcContext, endpoint: u32, direction: u32): u32 {
  const throttle = throttles.get({ endpoint, direction });
  if (!throttle || throttle.rate === 0n) return 0;
  const now = ktimeGetNs();
  const next: u64 = throttle.next > now ? throttle.next : now;
  if (next - now > BURST) return DROP.RATE_LIMITED;
  throttle.next = next + (u64(ctx.length) * SECOND) / throttle.rate;
  return 0;
}

/** Says when the packet leaves. 0 or a drop code. */
function pace(ctx: TcContext, endpoint: u32, direction: u32): u32 {
  const throttle = throttles.get({ endpoint, direction });
  if (!throttle || throttle.rate === 0n) return 0;
  const now = ktimeGetNs();
  const departure: u64 = throttle.next > now ? throttle.next : now;
  if (departure - now > HORIZON) return DROP.EDT_HORIZON;
  throttle.next = departure + (u64(ctx.length) * SECOND) / throttle.rate;
  ctx.timestamp = departure;
  return 0;
}

/** At an outer interface. 0 or a drop code. */
export function shape(ctx: TcContext, endpoint: u32, direction: u32): u32 {
  return departureTimes.value !== 0 ? pace(ctx, endpoint, direction) : police(ctx, endpoint, direction);
}
