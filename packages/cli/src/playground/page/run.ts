/**
 * @module
 * A program on the packets of a capture: alone, or on the interface of a simulated host.
 */
import { type CapturedPacket, findLayer, parseAddress, parsePacket } from "@skep/net";
import type { ObjectSpec } from "@skep/object";
import { type Device, openSim, type SimMachine } from "@skep/sim";
import { type EngineName, RingMap, Vm, VmError, type VmMap, type VmProgram } from "@skep/vm";
import { contextOf, isPassing, verdictName } from "../../packet-program.ts";
import { HOST } from "./capture.ts";
import { summary } from "./packets.ts";
import { mapReader } from "./values.ts";

export interface PacketRow {
  readonly packet: number;
  readonly summary: string;
  readonly length: number;
  readonly verdict: string;
  readonly note: string;
}

export interface MapTable {
  readonly name: string;
  readonly type: string;
  readonly entries: readonly { readonly key: string; readonly value: string }[];
}

export interface Outcome {
  readonly rows: readonly PacketRow[];
  readonly maps: readonly MapTable[];
  /** Packets that were not dropped, as they left. */
  readonly left: readonly CapturedPacket[];
  /** Why the program was stopped; null where it was not. */
  readonly stopped: string | null;
}

export interface RunOptions {
  readonly program: string;
  readonly packets: readonly CapturedPacket[];
  readonly engine: EngineName;
}

// ---- maps ----

type Entries = Iterable<readonly [key: Uint8Array, value: Uint8Array]>;

/** Of arrays what is not zero. */
function tableOf(spec: ObjectSpec, name: string, entries: Entries): MapTable {
  const map = spec.maps[name];
  if (map === undefined) throw new Error(`the object has no map ${name}`);
  const reader = mapReader(spec, map);
  const shown = Array.from(entries)
    .filter(([, value]) => !map.type.endsWith("array") || value.some((byte) => byte !== 0))
    .map(([key, value]) => ({ key: reader.key(key), value: reader.value(value) }));
  return { name, type: map.type, entries: shown };
}

function entriesOf(map: VmMap): Entries {
  if (!(map instanceof RingMap)) return map.entries();
  const records: [Uint8Array, Uint8Array][] = [];
  map.drain((record) => records.push([new Uint8Array(0), record.slice()]));
  return records;
}

// ---- alone ----

const message = (error: VmError): string =>
  error.source === null ? error.message : `${error.message}: ${error.source.text.trim()}`;

function judge(vm: Vm, program: VmProgram, packet: CapturedPacket): Omit<PacketRow, "packet"> & { data: Uint8Array } {
  const { data } = packet;
  const result = vm.run(program, { packet: data, context: contextOf(program.type, data) });
  const verdict = verdictName(program.type, result.returned);
  const redirect = verdict === "REDIRECT" ? result.redirect : null;
  const notes = [
    ...(redirect === null ? [] : [`${redirect.helper} to ${redirect.target}`]),
    ...(result.packet.length === data.length ? [] : [`left with ${result.packet.length} bytes`]),
    ...result.prints,
  ];
  return { summary: summary(data), length: data.length, verdict, note: notes.join("; "), data: result.packet };
}

/** Every packet through the program, one after the other. Time is that of the packets. */
export function runAlone(spec: ObjectSpec, options: RunOptions): Outcome {
  let now = 0n;
  let chance = 1;
  const vm = new Vm({
    clock: () => now,
    random: () => (chance = (Math.imul(chance, 1_664_525) + 1_013_904_223) >>> 0),
    engine: options.engine,
  });
  const object = vm.load(spec);
  const program = object.programs[options.program];
  if (program === undefined) throw new Error(`there is no program ${options.program}`);
  const rows: PacketRow[] = [];
  const left: CapturedPacket[] = [];
  let stopped: string | null = null;
  for (const [index, packet] of options.packets.entries()) {
    now = packet.timestamp;
    try {
      const { data, ...row } = judge(vm, program, packet);
      rows.push({ packet: index + 1, ...row });
      if (isPassing(row.verdict)) left.push({ ...packet, data, originalLength: data.length });
    } catch (error) {
      if (!(error instanceof VmError)) throw error;
      stopped = `packet ${index + 1}: ${message(error)}`;
      break;
    }
  }
  const maps = Object.keys(spec.maps)
    .filter((name) => spec.maps[name]?.data?.readOnly !== true)
    .flatMap((name) => (object.maps[name] ? [tableOf(spec, name, entriesOf(object.maps[name]))] : []));
  return { rows, maps, left, stopped };
}

// ---- on a host ----

interface Place {
  readonly machine: SimMachine;
  /** The host's interface. */
  readonly inside: Device;
  /** The other end of its wire. */
  readonly outside: Device;
}

function host(): Place {
  const machine = openSim({ seed: 1 });
  const { net } = machine;
  const wire = net.createNamespace("wire");
  const pair = net.host.createVeth("eth0", { namespace: wire, name: "wire" }, { mac: HOST.mac });
  net.host.setUp(pair.host.index, true);
  wire.setUp(pair.peer.index, true);
  const address = parseAddress(HOST.address);
  const inside = net.host.device(pair.host.index);
  const outside = wire.device(pair.peer.index);
  if (address === null || inside === null || outside === null) throw new Error("the host cannot be built");
  net.host.addAddress(inside.index, { address, length: HOST.prefix });
  return { machine, inside, outside };
}

/** The host knows whom the packets are from, so that its answers need no questions first. */
function introduce({ machine, inside }: Place, packets: readonly CapturedPacket[]): void {
  for (const { data } of packets) {
    const parsed = parsePacket(data);
    const [ethernet, ip] = [findLayer(parsed, "ethernet"), findLayer(parsed, "ipv4") ?? findLayer(parsed, "ipv6")];
    if (ethernet !== null && ip !== null) machine.net.host.addNeighbour(inside.index, ip.source, ethernet.source);
  }
}

/** The packets come in over the wire of a host with the program on its interface; what it answers is seen on the wire. */
export async function runOnHost(spec: ObjectSpec, options: RunOptions): Promise<Outcome> {
  const place = host();
  const { machine, inside, outside } = place;
  introduce(place, options.packets);
  const type = spec.programs[options.program]?.type;
  const collection = machine.bpf.load(spec, { programs: [options.program] });
  const program = collection.programs[options.program];
  if (program === undefined) throw new Error(`there is no program ${options.program}`);
  const target = type === "xdp" ? ({ hook: "xdp" } as const) : ({ hook: "tcx", direction: "ingress" } as const);
  machine.bpf.attach(program, { ...target, interface: inside.index });
  const answers: Uint8Array[] = [];
  const seen = { inside: 0 };
  outside.taps.add(({ bytes, direction }) => direction === "in" && answers.push(bytes));
  inside.taps.add(({ direction }) => direction === "in" && seen.inside++);
  const rows: PacketRow[] = [];
  let stopped: string | null = null;
  for (const [index, { data, timestamp }] of options.packets.entries()) {
    const before = { drops: machine.net.counters.programDrops, inside: seen.inside };
    machine.net.inject(outside, data);
    const next = options.packets[index + 1]?.timestamp ?? timestamp + 1_000_000_000n;
    try {
      await machine.simulation.pass(Math.max(0, Number(next - timestamp) / 1e6));
    } catch (error) {
      if (!(error instanceof VmError)) throw error;
      stopped = `packet ${index + 1}: ${message(error)}`;
      break;
    }
    const note = answers.splice(0).map((frame) => `answer: ${summary(frame)}`);
    const verdict =
      machine.net.counters.programDrops > before.drops
        ? "dropped"
        : seen.inside > before.inside
          ? "let through"
          : "sent elsewhere";
    rows.push({ packet: index + 1, summary: summary(data), length: data.length, verdict, note: note.join("; ") });
  }
  const maps = Object.keys(spec.maps)
    .filter((name) => spec.maps[name]?.data?.readOnly !== true && spec.maps[name]?.type !== "ringbuf")
    .flatMap((name) => {
      const map = collection.maps[name];
      return map ? [tableOf(spec, name, map.entries())] : [];
    });
  return { rows, maps, left: [], stopped };
}
