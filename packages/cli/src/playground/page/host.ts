/**
 * @module
 * A program on the interface of a simulated host, which gets the packets of a capture over its wire and answers.
 */
import type { RawMap } from "@skep/machine";
import { type CapturedPacket, findLayer, parseAddress, parsePacket } from "@skep/net";
import type { ObjectSpec } from "@skep/object";
import { type Device, openSim, type SimMachine } from "@skep/sim";
import { VmError } from "@skep/vm";
import { HOST } from "./capture.ts";
import { type MapSource, mapTables } from "./maps.ts";
import { summary } from "./packets.ts";
import { type Outcome, type PacketRow, type RunOptions, vmMessage } from "./run.ts";

function ofHost(map: RawMap): MapSource {
  return {
    entries: () => map.entries(),
    pop: () => map.take(new Uint8Array(0)),
    records: () => {
      const records: Uint8Array[] = [];
      map.readRing((record) => records.push(record.slice())).drain();
      return records;
    },
  };
}

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

/** Counts what the wire and the interface see. */
class Watch {
  readonly #place: Place;
  #answers: Uint8Array[] = [];
  #passed = 0;
  #drops = 0;

  constructor(place: Place) {
    this.#place = place;
    place.outside.taps.add(({ bytes, direction }) => direction === "in" && this.#answers.push(bytes));
    // Behind XDP, before tc (net/core/dev.c: __netif_receive_skb_core).
    place.inside.taps.add(({ direction }) => direction === "in" && this.#passed++);
  }

  /** What happened since the last call. */
  take(): { readonly verdict: string; readonly answers: readonly Uint8Array[] } {
    const drops = this.#place.machine.net.counters.programDrops;
    const verdict = drops > this.#drops ? "dropped" : this.#passed > 0 ? "let through" : "sent elsewhere";
    const answers = this.#answers;
    [this.#drops, this.#passed, this.#answers] = [drops, 0, []];
    return { verdict, answers };
  }
}

/** Attaches the program and gives its maps. */
function attach({ machine, inside }: Place, spec: ObjectSpec, name: string): Readonly<Record<string, RawMap>> {
  const { maps, programs } = machine.bpf.load(spec, { programs: [name] });
  const program = programs[name];
  if (program === undefined) throw new Error(`there is no program ${name}`);
  const isXdp = spec.programs[name]?.type === "xdp";
  const hook = isXdp ? ({ hook: "xdp" } as const) : ({ hook: "tcx", direction: "ingress" } as const);
  machine.bpf.attach(program, { ...hook, interface: inside.index });
  return maps;
}

/** Lets virtual time go on to the next packet; gives why the program was stopped, if it was. */
async function pass({ machine }: Place, nanoseconds: bigint): Promise<string | null> {
  try {
    await machine.simulation.pass(Math.max(0, Number(nanoseconds) / 1e6));
    return null;
  } catch (error) {
    if (error instanceof VmError) return vmMessage(error);
    throw error;
  }
}

const SECOND = 1_000_000_000n;

/** The packets come in over the wire, with the time between them that the capture has; answers are noted beside them. */
export async function runOnHost(spec: ObjectSpec, options: RunOptions): Promise<Outcome> {
  const place = host();
  introduce(place, options.packets);
  const maps = attach(place, spec, options.program);
  const watch = new Watch(place);
  const rows: PacketRow[] = [];
  let stopped: string | null = null;
  for (const [index, { data, timestamp }] of options.packets.entries()) {
    place.machine.net.inject(place.outside, data);
    const next = options.packets[index + 1]?.timestamp ?? timestamp + SECOND;
    const why = await pass(place, next - timestamp);
    if (why !== null) {
      stopped = `packet ${index + 1}: ${why}`;
      break;
    }
    const { verdict, answers } = watch.take();
    const note = answers.map((frame) => `answer: ${summary(frame)}`).join("; ");
    rows.push({ packet: index + 1, summary: summary(data), length: data.length, verdict, note });
  }
  const tables = mapTables(spec, (name) => (maps[name] ? ofHost(maps[name]) : null));
  return { rows, maps: tables, left: [], stopped };
}
