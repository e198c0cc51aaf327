// Flows that the front has nothing to do with, so that their next packets go up at once: while a tick lasts and neither services nor ways change.
// What a place remembers is a hash, and flows that have one hash in common are taken for each other: the programs at tc do for any packet what the
// front would have done.
import { jiffies64, percpuArray, struct, u32 } from "@skep/bpf";
import { loadBalancerState } from "./maps.bpf.ts";

const PLACES = 4096;

const Pass = struct("Pass", { flow: u32, generation: u32, ways: u32, tick: u32 });
const passes = percpuArray("skep_xdp_pass", { value: Pass, maxEntries: PLACES });

/** About a second, more or less with the kernel's clock. */
export function tick(): u32 {
  return u32(jiffies64() >> 8n);
}

/** Of a flow's ends, as they are in memory. */
export function mixed(source: u32, destination: u32, ports: u32): u32 {
  let hash: u32 = (source ^ 0x9e3779b9) * 0x85ebca6b;
  hash = (hash ^ (hash >>> 15) ^ destination) * 0xc2b2ae35;
  hash = (hash ^ (hash >>> 13) ^ ports) * 0x27d4eb2f;
  return hash ^ (hash >>> 15);
}

export function isPassed(flow: u32): boolean {
  const pass = passes.get(flow & (PLACES - 1));
  const state = loadBalancerState.get(0);
  if (!pass || !state || pass.flow !== flow || pass.tick !== tick()) return false;
  return pass.generation === state.generation && pass.ways === state.ways;
}

export function notePassed(flow: u32): void {
  const pass = passes.get(flow & (PLACES - 1));
  const state = loadBalancerState.get(0);
  if (!pass || !state) return;
  pass.flow = flow;
  pass.generation = state.generation;
  pass.ways = state.ways;
  pass.tick = tick();
}
