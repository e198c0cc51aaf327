// Puts one event of the datapath's form into a ring for each run, numbered by its source port and its connection's cookie, and counts those that
// found it full. Every tenth is a drop.
import { array, ktimeGetNs, tc, TC, u16, u32, u64 } from "@skep/bpf";
import { events } from "../../packages/datapath/src/bpf/maps.bpf.ts";

/** Events made (0) and lost (1). */
export const counts = array("counts", { value: u64, maxEntries: 2 });

export { events };

export const fill = tc("fill", (ctx) => {
  const made = counts.ref(0);
  if (!made) return TC.OK;
  const number = u32(made.value);
  made.value += 1n;
  const event = events.reserve();
  if (!event) {
    const lost = counts.ref(1);
    if (lost) lost.value += 1n;
    return TC.OK;
  }
  event.time = ktimeGetNs();
  event.type = 4;
  event.reason = 0;
  event.direction = 1;
  event.flags = 0;
  event.sourceIdentity = 21_001;
  event.destinationIdentity = 21_002;
  event.endpoint = 2;
  event.sourceEndpoint = 1;
  event.destinationEndpoint = 2;
  event.ifindex = 7;
  event.length = ctx.length;
  event.source = { w0: 0, w1: 0, w2: 0xffff, w3: 0x0a00_0100 | (number & 63) };
  event.destination = { w0: 0, w1: 0, w2: 0xffff, w3: 0x0a00_0200 | (number & 31) };
  event.sourcePort = u16(number);
  event.destinationPort = 80;
  event.protocol = 6;
  event.tcpFlags = 2;
  event.icmpType = 0;
  event.icmpCode = 0;
  event.cookie = 5;
  event.egressCookie = 6;
  event.ethertype = 0x0800;
  if (number % 10 === 9) {
    event.type = 1;
    event.reason = 133;
  }
  events.submit(event);
  return TC.OK;
});
