/**
 * @module
 * A program on the packets of a capture, each alone.
 */
import type { CapturedPacket } from "@skep/net";
import type { ObjectSpec } from "@skep/object";
import { type EngineName, RingMap, Vm, VmError, type VmMap, type VmProgram } from "@skep/vm";
import { contextOf, isPassing, verdictName } from "../../packet-program.ts";
import { type MapSource, type MapTable, mapTables } from "./maps.ts";
import { summary } from "./packets.ts";

export interface PacketRow {
  readonly packet: number;
  readonly summary: string;
  readonly length: number;
  readonly verdict: string;
  readonly note: string;
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

function ofVm(map: VmMap): MapSource {
  return {
    entries: () => map.entries(),
    pop: () => map.take(),
    records: () => {
      const records: Uint8Array[] = [];
      if (map instanceof RingMap) map.drain((record) => records.push(record.slice()));
      return records;
    },
  };
}

/** What a program did that no verified program does. */
export const vmMessage = (error: VmError): string =>
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
      stopped = `packet ${index + 1}: ${vmMessage(error)}`;
      break;
    }
  }
  const maps = mapTables(spec, (each) => (object.maps[each] ? ofVm(object.maps[each]) : null));
  return { rows, maps, left, stopped };
}
