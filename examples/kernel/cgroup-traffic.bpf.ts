// Bytes in and out of each cgroup, in the cgroup's own storage.
import { cgroupLocalStorage, cgroupSkbEgress, cgroupSkbIngress, struct, u64 } from "@skep/bpf";
import { Ipv4 } from "@skep/bpf/net";

const Traffic = struct("Traffic", { received: u64, sent: u64, packets: u64 });
export const traffic = cgroupLocalStorage("traffic", { value: Traffic });

export const incoming = cgroupSkbIngress("incoming", (ctx) => {
  const own = traffic.get();
  own.received += u64(ctx.length);
  own.packets += 1n;
  return 1;
});

export const outgoing = cgroupSkbEgress("outgoing", (ctx) => {
  const own = traffic.get();
  own.sent += u64(ctx.length);
  own.packets += 1n;
  // Nothing leaves that is to die on the next hop.
  return (ctx.header(Ipv4, 0)?.ttl ?? 64) > 1 ? 1 : 0;
});
