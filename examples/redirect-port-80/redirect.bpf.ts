// What comes for port 80 goes to a workload's interface; the rest is dropped.
import { config, percpuArray, redirect, tc, TC, u32, u64 } from "@skep/bpf";
import { Ethernet, Ipv4, Tcp } from "@skep/bpf/net";

/** Index of the workload's interface: set when the program is loaded. */
export const workload = config("workload", u32, 0);

/** Packets redirected (0) and dropped (1), one counter per CPU. */
export const counts = percpuArray("counts", { value: u64, maxEntries: 2 });

function count(index: u32): void {
  const counter = counts.ref(index);
  if (counter) counter.value += 1n;
}

function drop(): number {
  count(1);
  return TC.SHOT;
}

export const port80 = tc("port80", (ctx) => {
  const ethernet = ctx.header(Ethernet, 0);
  if (!ethernet || ethernet.type !== 0x0800) return drop();
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ip || ip.protocol !== 6) return drop();
  const tcp = ctx.header(Tcp, Ethernet.size + ip.ihl * 4);
  if (!tcp || tcp.destination !== 80) return drop();
  count(0);
  return redirect(workload.value, 0n);
});
