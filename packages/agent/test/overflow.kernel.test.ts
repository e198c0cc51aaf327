// Drops that come faster than they are read: each is in a flow or in a loss, through the agent, in the kernel.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { datapathObject } from "@skep/datapath";
import { type LinuxMachine, openLinux, unmountPins } from "@skep/linux";
import type { Collection, Program } from "@skep/machine";
import { buildPacket, parseAddress } from "@skep/net";
import { createLogger, type RunningAgent, startAgent } from "../src/index.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: overflowing the ring of events needs root and BPF");

/** Of packets that are made here: test runs come from the interface with this number. */
const LOOPBACK = 1;
/** A million a second for ten milliseconds, and more than twice what the ring has room for. */
const [BURST, FLOOD] = [10_000, 130_000];
const PATIENCE = { timeout: 30_000, interval: 200 };

/** One of the datapath's programs once more, on the maps that are in force. */
function loadBeside(machine: LinuxMachine, pins: string, name: string): { program: Program; loaded: Collection } {
  const spec = datapathObject();
  const names = machine.bpf.pins(`${pins}/maps`).filter((each) => spec.maps[each] !== undefined);
  const maps = names.flatMap((each) => {
    const map = machine.bpf.openMap(`${pins}/maps/${each}`);
    return map ? [[each, map] as const] : [];
  });
  const wanted = spec.programs[name];
  if (!wanted) throw new Error(`no program ${name}`);
  const loaded = machine.bpf.load({ ...spec, programs: { [name]: wanted } }, { maps: Object.fromEntries(maps) });
  const program = loaded.programs[name];
  if (!program) throw new Error(`${name} was not loaded`);
  return { program, loaded };
}

describe.skipIf(!privileged)("drops that come faster than they are read", () => {
  let folder: string;
  let outer: LinuxMachine;
  let machine: LinuxMachine;
  let running: RunningAgent;
  let cgroup: string;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "skep-overflow-"));
    cgroup = `skep-overflow-${process.pid}-${folder.slice(-6)}`;
    mkdirSync(join(folder, "policies"));
    outer = openLinux({ runFolder: folder });
    machine = openLinux({ runFolder: folder, netns: outer.net.createNamespace("host").path });
    running = await startAgent({
      ...{ machine, directory: join(folder, "policies"), run: folder, state: join(folder, "state"), watch: false },
      ...{ pins: join(folder, "bpf"), cgroup, podCidr: "10.244.0.0/24", serviceCidr: "10.96.0.0/24" },
      log: createLogger({ write: () => undefined, now: () => 0, format: "json" }),
      metrics: { listen: "127.0.0.1:0", flows: ["drop"], version: "1" },
    });
  }, 120_000);
  afterEach(async () => {
    for (const { endpoint } of running.agent.endpoints()) await running.agent.removeEndpoint(endpoint);
    running.agent.datapath.destroy();
    await running.close();
    unmountPins(join(folder, "bpf"));
    await machine.processes.deleteCgroup(cgroup);
    for (const name of outer.net.namespaces()) outer.net.deleteNamespace(name);
    rmSync(folder, { recursive: true, force: true });
  }, 120_000);

  /** As a scrape tells them; summed over labels. */
  const totals = async (): Promise<Record<"dropped" | "flows" | "inRing" | "queued", number>> => {
    const text = await (await fetch(`http://${running.metrics ?? ""}/metrics`)).text();
    const sum = (pattern: RegExp): number =>
      [...text.matchAll(pattern)].reduce((all, [, value]) => all + Number(value), 0);
    const [inRing, queued] = ["perf_event_ring_buffer", "observer_events_queue"].map((source) =>
      sum(new RegExp(`^hubble_lost_events_total\\{source="${source}"\\} (\\d+)$`, "gm")),
    );
    return {
      dropped: sum(/^cilium_drop_count_total\{reason="Invalid source ip".*\} (\d+)$/gm),
      flows: sum(/^hubble_drop_total\{.*\} (\d+)$/gm),
      inRing: inRing ?? 0,
      queued: queued ?? 0,
    };
  };

  it("a burst is read whole; of a flood each drop is in a flow or in a loss", async () => {
    const { agent } = running;
    const { endpoint } = agent.createEndpoint({ namespace: "default", name: "web", labels: { app: "web" } });
    agent.datapath.setEndpoint({ ...endpoint, interfaceIndex: LOOPBACK });
    const [source, destination] = [parseAddress("192.0.2.1"), parseAddress("192.0.2.2")];
    if (!source || !destination) throw new Error("no addresses");
    // Not the workload's own address.
    const data = buildPacket([
      { kind: "ethernet", source: endpoint.mac, destination: endpoint.hostMac },
      { kind: "ipv4", source, destination },
      { kind: "udp", sourcePort: 40_000, destinationPort: 80 },
    ]);
    const { program, loaded } = loadBeside(machine, join(folder, "bpf"), "skep_from_ep");
    try {
      // Nothing is read while the kernel runs the program: this thread waits for it.
      const { duration } = program.test({ data, repeat: BURST });
      expect(duration).toBeGreaterThan(0);
      await vi.waitFor(
        async () => expect(await totals()).toEqual({ dropped: BURST, flows: BURST, inRing: 0, queued: 0 }),
        PATIENCE,
      );
      program.test({ data, repeat: FLOOD });
      // What the datapath had no room for, and what came faster than the agent looks at events.
      await vi.waitFor(async () => {
        const { dropped, flows, inRing, queued } = await totals();
        expect(dropped).toBe(BURST + FLOOD);
        expect(flows + inRing + queued).toBe(dropped);
      }, PATIENCE);
      const { flows, inRing } = await totals();
      expect(inRing).toBeGreaterThan(FLOOD / 4);
      expect(flows).toBeGreaterThan(BURST + FLOOD / 4);
      expect(agent.datapath.lostEvents()).toBe(BigInt(inRing));
    } finally {
      loaded.close();
    }
  }, 180_000);
});
