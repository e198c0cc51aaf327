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
/** Interface of test runs. */
const HERE = 1;
const ELSEWHERE = 4095;
const [PASS, TX, REDIRECT] = [2, 3, 7];
const [CLIENT, SERVER, REMOTE, OUTSIDE, NODE] = ["10.9.0.2", "10.9.0.3", "10.8.0.3", "203.0.113.5", "192.0.2.1"];
const [VIP, SNAT_VIP, DSR_VIP] = ["10.96.0.1", "198.51.100.10", "198.51.100.11"];

needRoot("services");

interface Case {
  readonly name: string;
  readonly program: string;
  readonly packet: PacketShape;
  readonly verdict: number;
  /** The wrapper's case whose cost is taken off. */
  readonly base: "nothing_tc" | "nothing_xdp" | "grow_xdp";
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
    ...{ packet: from(CLIENT, VIP), verdict: REDIRECT },
  },
  {
    ...{ name: "XDP: for no service", program: "skep_xdp", base: "nothing_xdp" },
    ...{ packet: from(OUTSIDE, NODE), verdict: PASS },
  },
  {
    ...{ name: "XDP: node's address, remote backend, established", program: "skep_xdp", base: "nothing_xdp" },
    ...{ packet: from(OUTSIDE, SNAT_VIP), verdict: TX },
  },
  {
    ...{ name: "XDP: in a tunnel, established", program: "skep_xdp", base: "grow_xdp" },
    ...{ packet: from(OUTSIDE, DSR_VIP), verdict: TX },
  },
];

const ip = (text: string): Address => {
  const found = parseAddress(text);
  if (!found) throw new Error(`${text} is no address`);
  return found;
};

/** A service of one backend. */
function service(id: number, address: string, backend: string, flags: number): LoadBalancerRows {
  const slot = (number: number): ServiceSlotRow => ({
    ...{
      address: ip(address),
      port: 80,
      protocol: 6,
      scope: 0,
      slot: number,
      backend: number === 0 ? 0 : id,
      id,
      flags,
    },
    ...{ count: number === 0 ? 1 : 0, quarantined: 0, affinityTimeout: 0, algorithm: 0 },
  });
  return {
    services: [slot(0), slot(1)],
    backends: [{ id, address: ip(backend), port: 80, protocol: 6, state: 0, zone: 0 }],
    reverse: [{ id, address: ip(address), port: 80 }],
    ...{ affinity: [], sourceRanges: [], maglev: [], skips: [] },
  };
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
    service(1, VIP, SERVER, 0),
    service(2, SNAT_VIP, REMOTE, outside),
    service(3, DSR_VIP, REMOTE, outside | SERVICE_FLAG.DSR),
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

  run(target: Collection, name: string, data: Uint8Array): { returned: number; duration: number } {
    const program = target.programs[name];
    if (!program) throw new Error(`no program ${name}`);
    const kind = program.info.type === "xdp" ? "xdp" : "tc";
    const wrap = this.#wrapper.programs[`wrap_${kind}`];
    const [slot, heads] = [this.#wrapper.maps[`${kind}_target`], this.#wrapper.maps["heads"]];
    if (!wrap || !slot || !heads) throw new Error("the wrapper lacks its parts");
    slot.setProgram(encodeU32(0), program);
    const head = new Uint8Array(HEAD);
    head.set(data.subarray(0, HEAD));
    heads.set(encodeU32(0), head);
    return wrap.test({ data, repeat: REPEAT });
  }
}

function measure(programs: Collection, twins: Collection): void {
  const wrapper = new Wrapper(twins);
  const samples = new Samples();
  const frames = CASES.map((each) => ({ ...each, data: padded(tcpPacket(each.packet)) }));
  for (const { program, packet } of frames)
    programs.programs[program]?.test({ data: padded(tcpPacket({ ...packet, flags: SYN })) });
  for (let round = 0; round < ROUNDS; round++) {
    for (const { name, program, data, verdict, base } of frames) {
      samples.add(base, wrapper.run(twins, base, data).duration);
      const { returned, duration } = wrapper.run(programs, program, data);
      if (returned !== verdict) throw new Error(`${name}: verdict ${returned} instead of ${verdict}`);
      samples.add(name, duration);
    }
  }
  for (const { name, base } of CASES) {
    const skep = median(samples.of(name)) - median(samples.of(base));
    print({ bench: "services", case: name, unit: "ns a packet", skep, peer: null, peerName: null });
  }
}

/** Long enough for what the wrapper puts back. */
function padded(frame: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(Math.max(frame.length, 64));
  bytes.set(frame);
  return bytes;
}

function run(machine: Machine, pins: string, cgroup: string): void {
  const datapath = openDatapath(machine, { pins, cgroup });
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
    const programs = machine.bpf.load(fitting, { maps, programs: [...new Set(CASES.map(({ program }) => program))] });
    opened.push(programs);
    const twins = machine.bpf.load(readObject(compiled("bench/twins/wrap.bpf.ts")));
    opened.push(twins);
    measure(programs, twins);
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
