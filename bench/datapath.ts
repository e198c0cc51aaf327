// Nanoseconds that the program of a workload's own packets spends on one, net of an empty program's test run. No interface is touched.
import { join } from "node:path";
import type { Endpoint } from "@skep/control";
import { openDatapath, type Datapath } from "@skep/datapath";
import { openLinux, unmountPins } from "@skep/linux";
import type { Machine, Program, RawMap } from "@skep/machine";
import { parseAddress, type Address } from "@skep/net";
import { readObject } from "@skep/object";
import type { PolicyMapEntry } from "@skep/policy";
import { skepObject } from "../packages/datapath/src/generated/skep-object.ts";
import { median, print } from "./_lines.ts";
import { ACK, SYN, tcpPacket, TTL_AT, type PacketShape } from "./_packets.ts";
import { compiled, needRoot, Samples, withFolder } from "./_setup.ts";

/** A test run does not put the packet back: each takes one from the TTL of 255. */
const REPEAT = 200;
const ROUNDS = 1500;
const TTL = 255;
const [OK, SHOT, REDIRECT] = [0, 2, 7];
const [CLIENT, SERVER, OUTSIDE] = ["10.9.0.2", "10.9.0.3", "192.0.2.9"];

needRoot("datapath");

interface Case {
  readonly name: string;
  readonly packet: PacketShape;
  readonly verdict: number;
  readonly isRewritten: boolean;
  /** Events that each packet writes. */
  readonly events: number;
}

const packet = (over: Partial<PacketShape>): PacketShape => ({
  ...{ source: CLIENT, destination: SERVER, sourcePort: 40_000, destinationPort: 80, flags: ACK, ttl: TTL },
  ...over,
});
const forwarded = { verdict: REDIRECT, isRewritten: true, events: 0 };
const toStack = { verdict: OK, isRewritten: false, events: 0 };
const backFrom80 = { sourcePort: 80, destinationPort: 5000 };
const CASES: readonly Case[] = [
  { name: "established, to a local peer, redirected", packet: packet({}), ...forwarded },
  { name: "reply, to a local peer, redirected", packet: packet(backFrom80), ...forwarded },
  { name: "established, to the stack", packet: packet({ destination: OUTSIDE }), ...toStack },
  { name: "reply, to the stack", packet: packet({ ...backFrom80, destination: OUTSIDE }), ...toStack },
  {
    name: "policy drop, with its event",
    packet: packet({ destinationPort: 81 }),
    ...{ verdict: SHOT, isRewritten: false, events: 1 },
  },
];

const ip = (text: string): Address => {
  const found = parseAddress(text);
  if (!found) throw new Error(`${text} is no address`);
  return found;
};

// A test run's packets come from the loopback interface: index 1 is the sender's.
const [SENDER, ELSEWHERE] = [1, 4095];
function endpoint(id: number, address: string, interfaceIndex: number): Endpoint {
  return {
    ...{ id, namespace: "default", name: `bench-${id}`, labels: {}, identity: 1000 + id, address: ip(address) },
    ...{ interfaceName: "none", interfaceIndex },
    ...{ mac: Uint8Array.of(2, 0, 0, 0, id, 1), hostMac: Uint8Array.of(2, 0, 0, 0, id, 2) },
  };
}

const allow = (over: Partial<PolicyMapEntry>): PolicyMapEntry => ({
  ...{ direction: "egress", identity: 0, protocol: 0, port: 0, portPrefix: 0, precedence: 1, deny: false },
  ...{ proxyPort: 0, cookie: 1 },
  ...over,
});

function expectSame(found: number, wanted: number, what: string): void {
  if (found !== wanted) throw new Error(`${what}: ${found} instead of ${wanted}`);
}

/** Two workloads that may reach each other on port 80, and connections both ways. */
function prepare(datapath: Datapath, programs: { from: Program; to: Program }): void {
  datapath.syncIpcache([{ prefix: { address: ip("0.0.0.0"), length: 0 }, identity: 2 }]);
  const entries = [allow({}), allow({ direction: "ingress", protocol: 6, port: 80, portPrefix: 16 })];
  for (const id of [11, 12])
    datapath.setPolicy({ endpoint: id, revision: 1, ingressEnforced: true, egressEnforced: true, entries });
  const open = (program: Program, shape: PacketShape, verdict: number): void =>
    expectSame(program.test({ data: tcpPacket({ ...shape, flags: SYN }) }).returned, verdict, "opening a connection");
  // The server opens one to the client, then they change places.
  datapath.setEndpoint(endpoint(12, SERVER, SENDER));
  datapath.setEndpoint(endpoint(11, CLIENT, ELSEWHERE));
  open(programs.from, packet({ source: SERVER, destination: CLIENT, sourcePort: 5000 }), REDIRECT);
  datapath.setEndpoint(endpoint(12, SERVER, ELSEWHERE));
  datapath.setEndpoint(endpoint(11, CLIENT, SENDER));
  open(programs.to, packet({ source: OUTSIDE, destination: CLIENT, sourcePort: 5000 }), OK);
  open(programs.from, packet({}), REDIRECT);
  open(programs.from, packet({ destination: OUTSIDE }), OK);
}

function measure(datapath: Datapath, program: Program, empty: Program): void {
  let events = 0;
  const reader = datapath.readEvents(() => (events += 1));
  try {
    const samples = new Samples();
    const frames = CASES.map((each) => ({ ...each, data: tcpPacket(each.packet) }));
    // The first reply of a connection writes an event.
    for (const { data } of frames) program.test({ data });
    reader.drain();
    for (let round = 0; round < ROUNDS; round++) {
      for (const { name, data, verdict, isRewritten, events: wanted } of frames) {
        samples.add("empty", empty.test({ data, repeat: REPEAT }).duration);
        events = 0;
        const result = program.test({ data, repeat: REPEAT });
        reader.drain();
        expectSame(result.returned, verdict, `${name}: verdict`);
        expectSame(result.data[TTL_AT] ?? 0, isRewritten ? TTL - REPEAT : TTL, `${name}: TTL`);
        expectSame(events, wanted * REPEAT, `${name}: events`);
        samples.add(name, result.duration);
      }
    }
    const base = median(samples.of("empty"));
    console.error(`an empty program's run: ${base} ns, taken off below`);
    for (const { name } of CASES) {
      const skep = median(samples.of(name)) - base;
      print({ bench: "datapath", case: name, unit: "ns a packet", skep, peer: null, peerName: null });
    }
  } finally {
    reader.close();
  }
}

/** The maps that the datapath has pinned: it keeps its programs to itself, so they are loaded once more on the same maps. */
function pinnedMaps(machine: Machine, folder: string): Record<string, RawMap> {
  const names = machine.bpf.pins(folder).filter((name) => name !== "skep_layouts");
  const maps = names.map((name) => [name, machine.bpf.openMap(join(folder, name))] as const);
  return Object.fromEntries(maps.flatMap(([name, map]) => (map ? [[name, map]] : [])));
}

function run(machine: Machine, pins: string, cgroup: string): void {
  const datapath = openDatapath(machine, { pins, cgroup });
  const opened: { close(): void }[] = [];
  try {
    const maps = pinnedMaps(machine, join(pins, "maps"));
    opened.push(...Object.values(maps));
    const collection = machine.bpf.load(readObject(skepObject()), { maps });
    opened.push(collection);
    const nothing = machine.bpf.load(readObject(compiled("bench/twins/empty.bpf.ts")));
    opened.push(nothing);
    const [from, to] = [collection.programs["skep_from_ep"], collection.programs["skep_to_ep"]];
    const empty = nothing.programs["empty"];
    if (!from || !to || !empty) throw new Error("the objects lack their programs");
    prepare(datapath, { from, to });
    measure(datapath, from, empty);
  } finally {
    for (const each of opened.reverse()) each.close();
    datapath.destroy();
  }
}

await withFolder(async (folder) => {
  const machine = openLinux({ runFolder: folder });
  const pins = join(folder, "bpf");
  const name = `skep-bench-${process.pid}`;
  const { mountPoint } = machine.bpf.preparePins(pins) as { mountPoint?: string };
  try {
    run(machine, pins, machine.processes.createCgroup(name).path);
  } finally {
    if (mountPoint !== undefined) unmountPins(mountPoint);
    if (machine.processes.cgroupProcesses(name)) await machine.processes.deleteCgroup(name);
  }
});
