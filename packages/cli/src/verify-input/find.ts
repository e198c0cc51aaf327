/**
 * @module
 * An input that drives a refused program along the refused path to the access that goes wrong; shown only where the user-space machine,
 * checking every access, stops there too.
 */
import { kernelTypes } from "@skep/linux";
import { type LinkedProgram, type ObjectSpec, linkProgram, relocate } from "@skep/object";
import type { BtfView } from "@skep/object";
import type { Refusal, Rule } from "@skep/verifier";
import { LoadError, MapError, Vm, VmError } from "@skep/vm";
import { type Followed, type Input, type Source, type Subject, Run, hasPacket } from "./machine.ts";

export interface FoundInput {
  readonly input: Input;
  /** The elements that maps hold, by map and key. */
  readonly elements: readonly { readonly map: string; readonly key: Uint8Array; readonly value: Uint8Array }[];
  /** What the machine said when it stopped. */
  readonly stopped: string;
}

/** Runs of the little machine for one search. */
const RUNS = 30_000;
/** Inputs that are given to the machine. */
const TRIED = 40;
const LENGTHS = [...Array.from({ length: 256 }, (_, i) => i), 512, 1024, 1514, 4096, 9000];

const hex = (bytes: Uint8Array): string => [...bytes].map((each) => each.toString(16).padStart(2, "0")).join("");

/** Without the zeros at its end. */
function trimmed(bytes: Uint8Array): Uint8Array {
  let length = bytes.byteLength;
  while (length > 0 && bytes[length - 1] === 0) length--;
  return bytes.subarray(0, length);
}

/** One line a part: the packet or context, the elements of maps, the random number. */
export function describeInput(found: FoundInput, type: string): string[] {
  const { input, elements } = found;
  const lines: string[] = [];
  const shown = trimmed(hasPacket(type) ? input.packet : input.context);
  const bytes = shown.length === 0 ? "" : `: ${hex(shown)}${shown.length < input.packet.length ? " and zeros" : ""}`;
  if (hasPacket(type)) lines.push(`a packet of ${input.packet.length} bytes${bytes}`);
  else if (shown.length > 0) lines.push(`a context that begins with ${hex(shown)}`);
  for (const { map, key, value } of elements) lines.push(`in ${map} under ${hex(key)} the value ${hex(value)}`);
  if (input.random !== 0) lines.push(`${input.random} as the random number`);
  if (lines.length === 0) lines.push("any: it goes wrong with nothing in its maps and zeros for its context");
  return lines;
}

/** Rules whose breach is an access that goes wrong when the program runs. */
const findable: ReadonlySet<string> = new Set<Rule>([
  "packet-bounds",
  "value-bounds",
  "memory-bounds",
  "stack-bounds",
  "stack-variable",
  "maybe-null",
  "negative-offset",
  "unbounded-offset",
  "not-a-pointer",
]);

/** Null: none was found, or the machine does not stop there. */
export function findInput(spec: ObjectSpec, name: string, refusal: Refusal): FoundInput | null {
  const program = spec.programs[name];
  if (program === undefined || !findable.has(refusal.rule)) return null;
  const linked = linkedOf(spec, name);
  if (linked === null) return null;
  const subject: Subject = { linked, type: program.type, maps: spec.maps, refusal };
  for (const packet of [new Uint8Array(64), new Uint8Array(256), new Uint8Array(0)]) {
    const start: Input = { packet, context: new Uint8Array(256), values: [], random: 0 };
    let tried = 0;
    for (const input of search(subject, start)) {
      const confirmed = confirm(spec, name, { subject, input });
      if (confirmed !== null) return confirmed;
      if (++tried >= TRIED) break;
    }
    if (!hasPacket(program.type)) break;
  }
  return null;
}

function linkedOf(spec: ObjectSpec, name: string): LinkedProgram | null {
  const linked = linkProgram(spec, name);
  if (linked.coreRelocations.length === 0 || spec.btf === undefined) return linked;
  const types: BtfView = kernelTypes();
  return relocate(linked, { local: spec.btf, target: types });
}

const SMALL = Array.from({ length: 256 }, (_, i) => BigInt(i));

/** Better: further along the path, then at its end, then wrong there. */
function rank(followed: Followed): number {
  return followed.steps * 4 + (followed.reached ? 1 : 0) + (followed.breaks ? 2 : 0);
}

/** Inputs that go wrong: what decided against the path is changed as long as that leads further. */
function* search(subject: Subject, start: Input): Generator<Input> {
  let input = start;
  let best = new Run(subject, input).follow();
  if (best.breaks) yield input;
  let runs = 0;
  for (let isBetter = true; isBetter && !best.breaks;) {
    isBetter = false;
    for (const candidate of candidates(input, best)) {
      if (++runs > RUNS) return;
      const followed = new Run(subject, candidate).follow();
      if (followed.breaks) yield candidate;
      if (followed.breaks || rank(followed) <= rank(best)) continue;
      isBetter = true;
      input = candidate;
      best = followed;
      break;
    }
  }
}

function* candidates(input: Input, followed: Followed): Generator<Input> {
  const { sources } = followed;
  for (const source of sources) {
    const found = /^found(\d+)$/.exec(source);
    if (found !== null) yield withElement(input, Number(found[1]), followed);
  }
  yield* bytesOf(input, followed);
  if (sources.has("random"))
    for (const value of [...SMALL, ...numbersNear(followed.wanted)])
      yield { ...input, random: Number(BigInt.asUintN(32, value)) };
  if (sources.has("length")) for (const length of LENGTHS) yield { ...input, packet: resized(input.packet, length) };
}

function resized(packet: Uint8Array, length: number): Uint8Array {
  const copy = new Uint8Array(length);
  copy.set(packet.subarray(0, length));
  return copy;
}

/** The element is there, or is not any more. */
function withElement(input: Input, which: number, followed: Followed): Input {
  const values = [...input.values];
  while (values.length <= which) values.push(null);
  values[which] = values[which] === null ? new Uint8Array(followed.lookups[which]?.size ?? 0) : null;
  return { ...input, values };
}

interface Place {
  readonly where: string;
  readonly offset: number;
}

/** Runs of bytes that decided: each with numbers near the one that it is compared with, single ones with all. */
function* bytesOf(input: Input, followed: Followed): Generator<Input> {
  const places = [...followed.sources].flatMap(placeOf);
  for (const run of runsOf(places)) {
    const [first] = run;
    if (first === undefined) continue;
    if (run.length === 1) for (let value = 0; value < 256; value++) yield withBytes(input, run, [value]);
    for (const value of numbersNear(followed.wanted)) {
      const bytes = run.map((_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
      yield withBytes(input, run, bytes);
      yield withBytes(input, run, [...bytes].reverse());
    }
    for (const one of run) for (let value = 0; value < 256; value++) yield withBytes(input, [one], [value]);
  }
}

function placeOf(source: Source): Place[] {
  const match = /^(packet|context|value\d+):(\d+)$/.exec(source);
  return match === null ? [] : [{ where: match[1] ?? "", offset: Number(match[2]) }];
}

function runsOf(places: readonly Place[]): Place[][] {
  const sorted = [...places].sort((a, b) => (a.where === b.where ? a.offset - b.offset : a.where < b.where ? -1 : 1));
  const runs: Place[][] = [];
  for (const place of sorted) {
    const last = runs.at(-1)?.at(-1);
    if (last?.where === place.where && last.offset + 1 === place.offset) runs.at(-1)?.push(place);
    else runs.push([place]);
  }
  return runs;
}

function numbersNear(wanted: bigint): bigint[] {
  const near = [wanted, wanted + 1n, wanted - 1n, 0n, -1n, 1n << 31n, 1n << 63n];
  return [...near, ...[1n, 2n, 4n, 6n, 8n, 12n, 16n, 24n].flatMap((shift) => [wanted << shift, wanted >> shift])];
}

function withBytes(input: Input, run: readonly Place[], bytes: readonly number[]): Input {
  const copy = {
    ...input,
    packet: input.packet.slice(),
    context: input.context.slice(),
    values: input.values.map((each) => each?.slice() ?? null),
  };
  run.forEach(({ where, offset }, i) => {
    const target =
      where === "packet" ? copy.packet : where === "context" ? copy.context : copy.values[Number(where.slice(5))];
    if (target !== undefined && target !== null && offset < target.length) target[offset] = bytes[i] ?? 0;
  });
  return copy;
}

/** The same input in the machine, which holds every access against its object. */
function confirm(
  spec: ObjectSpec,
  name: string,
  { subject, input }: { readonly subject: Subject; readonly input: Input },
): FoundInput | null {
  const { lookups } = new Run(subject, input).follow();
  const elements = lookups.flatMap(({ map, key }, which) => {
    const value = input.values[which] ?? null;
    return value === null ? [] : [{ map, key, value }];
  });
  try {
    const vm = new Vm({ clock: () => 0n, random: () => input.random, engine: "interpreter", budget: 1_000_000 });
    const object = vm.load(spec, { programs: [name] });
    const program = object.programs[name];
    if (program === undefined) return null;
    for (const { map, key, value } of elements) object.maps[map]?.set(key, value);
    vm.run(program, hasPacket(subject.type) ? { packet: input.packet } : { context: input.context });
    return null;
  } catch (error) {
    if (error instanceof VmError && error.index === subject.refusal.instruction && error.kind !== "budget")
      return { input, elements, stopped: error.message };
    // What the machine does not have, it cannot confirm.
    if (error instanceof VmError || error instanceof LoadError || error instanceof MapError) return null;
    throw error;
  }
}
