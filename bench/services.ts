// Nanoseconds that services cost a packet: to a workload's backend at tc, and from outside at XDP. Each run gets the same packet: a wrapper puts back
// what the program has changed, and its own cost is taken off. No interface is touched.
import { join } from "node:path";
import { SERVICE_FLAG, type LoadBalancerRows, type ServiceSlotRow } from "@skep/control";
import { openDatapath, type Datapath } from "@skep/datapath";
import { openLinux, unmountPins } from "@skep/linux";
import type { Collection, Machine, RawMap } from "@skep/machine";
import { parseAddress, type Address } from "@skep/net";
import { readObject } from "@skep/object";
import type { PolicyMapEntry } from "@skep/policy";
import { Device } from "../packages/datapath/src/bpf/device.bpf.ts";
import { encodeAddress, encodeU32 } from "../packages/datapath/src/encode.ts";
import { skepObject } from "../packages/datapath/src/generated/skep-object.ts";
import { median, print } from "./_lines.ts";
import { ACK, SYN, tcpPacket, type PacketShape } from "./_packets.ts";
import { compiled, needRoot, Samples, withFolder } from "./_setup.ts";

const REPEAT = 1000;
const ROUNDS = 300;
const HEAD = 56;
const HEAD_ROW = HEAD + 16;
const MANY = 65_536;
/** Rounds of flows that are new: no port comes twice. */
const NEW_ROUNDS = 60;
const MANY_ROUNDS = 15;
/** Interface of test runs. */
const HERE = 1;
const ELSEWHERE = 4095;
const [PASS, TX, REDIRECT] = [2, 3, 7];
const [CLIENT, SERVER, OUTSIDE, NODE] = ["10.9.0.2", "10.9.0.3", "203.0.113.5", "192.0.2.1"];
const REMOTES = Array.from({ length: 8 }, (_, at) => `10.8.0.${at + 3}`);
const [VIP, SNAT_VIP, DSR_VIP] = ["10.96.0.1", "198.51.100.10", "198.51.100.11"];

needRoot("services");

interface Case {
  readonly name: string;
  readonly program: string;
  readonly packet: PacketShape;
  readonly verdict: number;
  /** The wrapper's case whose cost is taken off. */
  readonly base: "nothing_tc" | "nothing_xdp" | "grow_xdp";
  /** How many bytes longer the packet becomes; default 0. */
  readonly grows?: number;
  /** Measured with new flows and with many, too. */
  readonly hasFlows?: boolean;
}

const from = (source: string, destination: string): PacketShape => ({
  ...{ source, destination, sourcePort: 40_000, destinationPort: 80, flags: ACK },
});
const CASES: readonly Case[] = [
  {
    ...{ name: "workload to workload, established, policy in force", program: "skep_from_ep", base: "nothing_tc" },
    ...{ packet: from(CLIENT, SERVER), verdict: REDIRECT },
  },
  {
    ...{ name: "workload to a service, established, local backend", program: "skep_from_ep", base: "nothing_tc" },
    ...{ packet: from(CLIENT, VIP), verdict: REDIRECT, hasFlows: true },
  },
  {
    ...{ name: "XDP: for no service", program: "skep_xdp", base: "nothing_xdp" },
    ...{ packet: from(OUTSIDE, NODE), verdict: PASS },
  },
  {
    ...{ name: "XDP: node's address, remote backend, established", program: "skep_xdp", base: "nothing_xdp" },
    ...{ packet: from(OUTSIDE, SNAT_VIP), verdict: TX, hasFlows: true },
  },
  {
    ...{ name: "XDP: node's address, once in a second of a flow", program: "skep_xdp", base: "nothing_xdp" },
    // What opens goes the whole way each time, as a flow's packet does once in a while.
    ...{ packet: { ...from(OUTSIDE, SNAT_VIP), flags: SYN }, verdict: TX },
  },
  {
    ...{ name: "XDP: remote backend that answers itself, established", program: "skep_xdp", base: "nothing_xdp" },
    ...{ packet: from(OUTSIDE, DSR_VIP), verdict: TX, hasFlows: true },
  },
  {
    ...{ name: "XDP: that, opening: an option is added", program: "skep_xdp", base: "grow_xdp" },
    ...{ packet: { ...from(OUTSIDE, DSR_VIP), flags: SYN }, verdict: TX, grows: 8 },
  },
];
/** With backends that get packets in packets. */
const IN_TUNNELS: readonly Case[] = [
  {
    ...{ name: "XDP: in a tunnel, established", program: "skep_xdp", base: "grow_xdp" },
    ...{ packet: from(OUTSIDE, DSR_VIP), verdict: TX, hasFlows: true, grows: 20 },
  },
  {
    ...{ name: "XDP: in a tunnel, once in a second of a flow", program: "skep_xdp", base: "grow_xdp" },
    ...{ packet: { ...from(OUTSIDE, DSR_VIP), flags: SYN }, verdict: TX, grows: 20 },
  },
];

const ip = (text: string): Address => {
  const found = parseAddress(text);
  if (!found) throw new Error(`${text} is no address`);
  return found;
};

/** A service and its backends; the backends' numbers begin at `first`. */
function service(id: number, address: string, { first, backends, flags }: ServiceOptions): LoadBalancerRows {
  const slot = (number: number): ServiceSlotRow => ({
    ...{ address: ip(address), port: 80, protocol: 6, scope: 0, slot: number, id, flags },
    ...{ backend: number === 0 ? 0 : first + number - 1, count: number === 0 ? backends.length : 0 },
    ...{ quarantined: 0, affinityTimeout: 0, algorithm: 0 },
  });
  return {
    services: [slot(0), ...backends.map((_, at) => slot(at + 1))],
    backends: backends.map((backend, at) => ({
      ...{ id: first + at, address: ip(backend), port: 80, protocol: 6, state: 0, zone: 0 },
    })),
    reverse: [{ id, address: ip(address), port: 80 }],
    ...{ affinity: [], sourceRanges: [], maglev: [], skips: [] },
  };
}

interface ServiceOptions {
  readonly first: number;
  readonly backends: readonly string[];
  readonly flags: number;
}

function prepare(datapath: Datapath, maps: Readonly<Record<string, RawMap>>): void {
  const allow = (direction: "ingress" | "egress"): PolicyMapEntry => ({
    ...{
      direction,
      identity: 0,
      protocol: 0,
      port: 0,
      portPrefix: 0,
      precedence: 1,
      deny: false,
      proxyPort: 0,
      cookie: 1,
    },
  });
  const endpoints = [
    [11, CLIENT, HERE],
    [12, SERVER, ELSEWHERE],
  ] as const;
  for (const [id, address, interfaceIndex] of endpoints) {
    const entries = [allow("ingress"), allow("egress")];
    datapath.setPolicy({ endpoint: id, revision: 1, ingressEnforced: true, egressEnforced: true, entries });
    datapath.setEndpoint({
      ...{ id, identity: 1000 + id, address: ip(address), interfaceName: "none", interfaceIndex },
      ...{ mac: Uint8Array.of(2, 0, 0, 0, id, 1), hostMac: Uint8Array.of(2, 0, 0, 0, id, 2) },
    });
  }
  const outside = SERVICE_FLAG.EXTERNAL_IP | SERVICE_FLAG.ROUTABLE;
  const parts = [
    service(1, VIP, { first: 1, backends: [SERVER], flags: 0 }),
    // A node has 32,768 ports for what it sends to one backend.
    service(2, SNAT_VIP, { first: 2, backends: REMOTES, flags: outside }),
    service(3, DSR_VIP, { first: 20, backends: REMOTES, flags: outside | SERVICE_FLAG.DSR }),
  ];
  datapath.replaceLoadBalancer({
    ...{ affinity: [], sourceRanges: [], maglev: [], skips: [] },
    services: parts.flatMap(({ services }) => services),
    backends: parts.flatMap(({ backends }) => backends),
    reverse: parts.flatMap(({ reverse }) => reverse),
  });
  const macs = { source: Uint8Array.of(2, 0, 0, 0, 9, 2), destination: Uint8Array.of(2, 0, 0, 0, 8, 1) };
  datapath.syncNextHops([{ prefix: { address: ip("0.0.0.0"), length: 0 }, interfaceIndex: HERE, macs }]);
  const none = { w0: 0, w1: 0, w2: 0, w3: 0 };
  maps["skep_devices"]?.set(encodeU32(HERE), Device.encode({ address: encodeAddress(ip(NODE)), address6: none }));
}

/** The same packet for each run of the program in the wrapper's slot. */
class Wrapper {
  readonly #wrapper: Collection;

  constructor(wrapper: Collection) {
    this.#wrapper = wrapper;
  }

  /** `ports`: as many flows in turn, from `next` on. */
  run(
    target: Collection,
    name: string,
    {
      data,
      ports = 0,
      next = 0,
      repeat = REPEAT,
    }: { data: Uint8Array; ports?: number; next?: number; repeat?: number },
  ): { returned: number; duration: number } {
    const program = target.programs[name];
    if (!program) throw new Error(`no program ${name}`);
    const kind = program.info.type === "xdp" ? "xdp" : "tc";
    const wrap = this.#wrapper.programs[`wrap_${kind}`];
    const [slot, heads] = [this.#wrapper.maps[`${kind}_target`], this.#wrapper.maps["heads"]];
    if (!wrap || !slot || !heads) throw new Error("the wrapper lacks its parts");
    slot.setProgram(encodeU32(0), program);
    const head = new Uint8Array(HEAD_ROW);
    head.set(data.subarray(0, HEAD));
    new DataView(head.buffer).setBigUint64(HEAD, BigInt(ports), true);
    new DataView(head.buffer).setBigUint64(HEAD + 8, BigInt(next), true);
    heads.set(encodeU32(0), head);
    return wrap.test({ data, repeat });
  }
}

interface Subject {
  readonly programs: Collection;
  readonly twins: Collection;
  readonly maps: Readonly<Record<string, RawMap>>;
}

function measure({ programs, twins, maps }: Subject, cases: readonly Case[]): void {
  const wrapper = new Wrapper(twins);
  const samples = new Samples();
  const frames = cases.map((each) => ({
    ...each,
    data: padded(tcpPacket(each.packet)),
    opening: padded(tcpPacket({ ...each.packet, flags: SYN })),
  }));
  const right = (each: Case, returned: number): void => {
    if (returned !== each.verdict) throw new Error(`${each.name}: verdict ${returned} instead of ${each.verdict}`);
  };
  const sample = (each: Case, name: string, options: Parameters<Wrapper["run"]>[2]): void => {
    for (const base of new Set([each.base, each.base === "grow_xdp" ? "nothing_xdp" : each.base]))
      samples.add(base, wrapper.run(twins, base, { ...options, next: 0 }).duration);
    const { returned, duration } = wrapper.run(programs, each.program, options);
    right(each, returned);
    samples.add(name, duration);
  };
  for (const { name, program, opening, data, grows = 0 } of frames) {
    programs.programs[program]?.test({ data: opening });
    const length = programs.programs[program]?.test({ data }).data.length ?? 0;
    if (length !== data.length + grows) throw new Error(`${name}: ${length} bytes of ${data.length}`);
  }
  for (let round = 0; round < ROUNDS; round++) for (const each of frames) sample(each, each.name, { data: each.data });
  const flows = frames.filter(({ hasFlows }) => hasFlows);
  for (const each of flows) {
    forget(maps);
    for (let round = 0; round < NEW_ROUNDS; round++)
      sample(each, `${each.name}: new flows`, { data: each.opening, ports: MANY, next: round * REPEAT });
    wrapper.run(programs, each.program, { data: each.opening, ports: MANY, repeat: MANY });
    for (let round = 0; round < 3; round++)
      wrapper.run(programs, each.program, { data: each.data, ports: MANY, repeat: MANY });
    for (let round = 0; round < MANY_ROUNDS; round++)
      sample(each, `${each.name}: 64k flows`, { data: each.data, ports: MANY, repeat: MANY });
  }
  const empty = median(samples.of("nothing_xdp"));
  const tell = (name: string, base: Case["base"]): void => {
    // The twin that grows the packet has a cost of its own: half of it is the wrapper's, which makes the packet small again.
    const cost = median(samples.of(base));
    const skep = median(samples.of(name)) - (base === "grow_xdp" ? (cost + empty) / 2 : cost);
    print({ bench: "services", case: name, unit: "ns a packet", skep, peer: null, peerName: null });
  };
  for (const { name, base } of frames) tell(name, base);
  for (const { name, base } of flows) for (const kind of ["new flows", "64k flows"]) tell(`${name}: ${kind}`, base);
}

function forget(maps: Readonly<Record<string, RawMap>>): void {
  for (const name of ["skep_ct", "skep_nat", "skep_flow4"]) {
    const map = maps[name];
    if (!map) throw new Error(`no map ${name}`);
    map.deleteAll([...map.entries()].map(([key]) => key));
  }
}

/** Long enough for what the wrapper puts back. */
function padded(frame: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(Math.max(frame.length, 64));
  bytes.set(frame);
  return bytes;
}

interface Place {
  readonly pins: string;
  readonly cgroup: string;
}

function run(machine: Machine, { pins, cgroup }: Place, dispatch: "option" | "ipip"): void {
  const cases = dispatch === "ipip" ? IN_TUNNELS : CASES;
  const datapath = openDatapath(machine, { pins, cgroup, loadBalancer: { dispatch } });
  const opened: { close(): void }[] = [];
  try {
    const names = machine.bpf.pins(join(pins, "maps")).filter((name) => name !== "skep_layouts");
    const maps = Object.fromEntries(
      names.flatMap((name) => {
        const map = machine.bpf.openMap(join(pins, "maps", name));
        return map ? [[name, map] as const] : [];
      }),
    );
    opened.push(...Object.values(maps));
    prepare(datapath, maps);
    const spec = readObject(skepObject());
    const outer = spec.maps["skep_maglev"];
    const inner = maps["skep_maglev"] && outer?.inner ? { ...outer.inner, valueSize: 16_381 * 4 } : undefined;
    const fitting = outer && inner ? { ...spec, maps: { ...spec.maps, skep_maglev: { ...outer, inner } } } : spec;
    const programs = machine.bpf.load(fitting, { maps, programs: [...new Set(cases.map(({ program }) => program))] });
    opened.push(programs);
    const twins = machine.bpf.load(readObject(compiled("bench/twins/wrap.bpf.ts")));
    opened.push(twins);
    measure({ programs, twins, maps }, cases);
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
    const place = { pins, cgroup: machine.processes.createCgroup(name).path };
    run(machine, place, "option");
    run(machine, place, "ipip");
  } finally {
    if (mountPoint !== undefined) unmountPins(mountPoint);
    if (machine.processes.cgroupProcesses(name)) await machine.processes.deleteCgroup(name);
  }
});
