/**
 * @module
 * Rows of a map in another layout of the same map: fields by their names, so that what one version wrote keeps its meaning in the next.
 */
import type { Member, Shape } from "./codec/shape.ts";
import { describeShape } from "./layout.ts";
import { type Layout, type LayoutSide, parseLayout } from "./parse-layout.ts";

/** Makes a row of the new layout. `value`: of a per-CPU map all its values, each rounded up to eight bytes. */
export interface RowConversion {
  key(key: Uint8Array): Uint8Array;
  value(value: Uint8Array): Uint8Array;
  /** Of the inner maps of a map of maps. */
  readonly inner: RowConversion | null;
}

/** Why rows of the old layout have no meaning in the new one. */
export class ConversionError extends Error {
  override readonly name = "ConversionError";
}

/**
 * Between two layouts as `describeLayout` writes them. Fields are found by name: those that are gone are left out of values, new ones are zero,
 * integers may get wider and change byte order, arrays longer. A key keeps its fields. Throws ConversionError where an integer gets narrower or
 * another kind, a key gains or loses a field, or the map is of another type (a hash may become one that evicts, and the reverse).
 */
export function convertRows(from: string, to: string): RowConversion {
  return between(parseLayout(from), parseLayout(to));
}

const HASHES: ReadonlySet<string> = new Set(["hash", "lru_hash"]);
const PER_CPU = /percpu/;

function between(from: Layout, to: Layout): RowConversion {
  if (from.type !== to.type && !(HASHES.has(from.type) && HASHES.has(to.type)))
    throw new ConversionError(`it was of type ${from.type} and is of type ${to.type}`);
  if ((from.inner === null) !== (to.inner === null)) throw new ConversionError("one of them has no inner map");
  const key = converter(from.key, to.key, { what: "the key", isKey: true });
  // What stands for an inner map is a number of the kernel's.
  const value = from.inner ? (bytes: Uint8Array) => bytes : converter(from.value, to.value, { what: "the value" });
  // The bytes of a prefix are compared from the first on: its key has one meaning only as it is.
  if (to.type === "lpm_trie" && describeSide(from.key) !== describeSide(to.key))
    throw new ConversionError("the key of a trie has other fields");
  return {
    key,
    value: PER_CPU.test(to.type) ? eachCpu(value, from.value.size, to.value.size) : value,
    inner: from.inner && to.inner ? between(from.inner, to.inner) : null,
  };
}

const describeSide = ({ size, shape }: LayoutSide): string => (shape ? describeShape(shape) : `bytes${size}`);
const rounded = (size: number): number => (size + 7) & ~7;

function eachCpu(one: (value: Uint8Array) => Uint8Array, from: number, to: number): RowConversion["value"] {
  const [wide, wanted] = [rounded(from), rounded(to)];
  return (values) => {
    const count = values.length / wide;
    const made = new Uint8Array(count * wanted);
    for (let cpu = 0; cpu < count; cpu++) made.set(one(values.subarray(cpu * wide, cpu * wide + from)), cpu * wanted);
    return made;
  };
}

/** Bits of an integer: `width` of them from bit `shift` of the `size` bytes at `offset`. */
interface IntPlace {
  readonly offset: number;
  readonly size: number;
  readonly shift: number;
  readonly width: number;
  readonly signed: boolean;
  readonly bigEndian: boolean;
}

type Step =
  | { readonly kind: "copy"; readonly from: number; readonly to: number; readonly length: number }
  | { readonly kind: "int"; readonly from: IntPlace; readonly to: IntPlace };

interface Path {
  readonly what: string;
  readonly isKey?: boolean;
}

function converter(from: LayoutSide, to: LayoutSide, path: Path): (bytes: Uint8Array) => Uint8Array {
  const steps: Step[] = [];
  if (from.shape && to.shape) plan({ from: from.shape, fromAt: 0, to: to.shape, toAt: 0 }, path, steps);
  else if (describeSide(from) === describeSide(to)) steps.push({ kind: "copy", from: 0, to: 0, length: from.size });
  else throw new ConversionError(`${path.what} has no types to go by`);
  return (bytes) => {
    const made = new Uint8Array(to.size);
    for (const step of steps) run(step, bytes, made);
    return made;
  };
}

interface Pair {
  readonly from: Shape;
  readonly fromAt: number;
  readonly to: Shape;
  readonly toAt: number;
}

function plan(pair: Pair, path: Path, steps: Step[]): void {
  const { from, to, fromAt, toAt } = pair;
  if (describeShape(from) === describeShape(to)) {
    steps.push({ kind: "copy", from: fromAt, to: toAt, length: from.size });
  } else if (from.kind === "int" && to.kind === "int") {
    planInt({ ...pair, from, to }, path, steps);
  } else if (from.kind === "array" && to.kind === "array" && from.length <= to.length) {
    if (describeShape(from.element) === describeShape(to.element)) {
      steps.push({ kind: "copy", from: fromAt, to: toAt, length: from.size });
      return;
    }
    for (let index = 0; index < from.length; index++) {
      const places = { fromAt: fromAt + index * from.element.size, toAt: toAt + index * to.element.size };
      plan({ from: from.element, to: to.element, ...places }, { ...path, what: `${path.what}[${index}]` }, steps);
    }
  } else if (from.kind === "struct" && to.kind === "struct") {
    planMembers(pair, { from: from.members, to: to.members }, { path, steps });
  } else {
    throw new ConversionError(`${path.what} was ${describeShape(from)} and is ${describeShape(to)}`);
  }
}

function planInt(
  { from, to, fromAt, toAt }: Pair & { from: Shape & { kind: "int" }; to: Shape & { kind: "int" } },
  path: Path,
  steps: Step[],
): void {
  const place = (shape: typeof from, offset: number): IntPlace => ({
    ...{ offset, size: shape.size, shift: 0, width: shape.size * 8 },
    ...{ signed: shape.signed, bigEndian: shape.bigEndian },
  });
  steps.push(intStep(place(from, fromAt), place(to, toAt), path));
}

function intStep(from: IntPlace, to: IntPlace, { what }: Path): Step {
  const isKept = from.signed === to.signed ? to.width >= from.width : !from.signed && to.width > from.width;
  if (!isKept)
    throw new ConversionError(`${what} was ${nameOf(from)} and is ${nameOf(to)}, which cannot hold all of it`);
  return { kind: "int", from, to };
}

const nameOf = ({ signed, width }: IntPlace): string => `${signed ? "i" : "u"}${width}`;

function planMembers(
  { fromAt, toAt }: Pair,
  members: { readonly from: readonly Member[]; readonly to: readonly Member[] },
  { path, steps }: { readonly path: Path; readonly steps: Step[] },
): void {
  const old = new Map(members.from.map((member) => [member.name, member]));
  if (path.isKey && (old.size !== members.to.length || members.to.some(({ name }) => !old.has(name))))
    throw new ConversionError(`${path.what} has other fields`);
  for (const member of members.to) {
    const known = old.get(member.name);
    if (!known) continue;
    const inner = { ...path, what: member.name === "" ? path.what : `${path.what}.${member.name}` };
    const pair = { from: known.shape, fromAt: fromAt + known.offset, to: member.shape, toAt: toAt + member.offset };
    if (known.bits ?? member.bits)
      steps.push(intStep(bitsOf(known, pair.fromAt, inner), bitsOf(member, pair.toAt, inner), inner));
    else plan(pair, inner, steps);
  }
}

function bitsOf({ shape, bits }: Member, offset: number, { what }: Path): IntPlace {
  if (shape.kind !== "int" && shape.kind !== "bool") throw new ConversionError(`${what} is no integer in one of them`);
  const signed = shape.kind === "int" && shape.signed;
  if (!bits) return { offset, size: shape.size, shift: 0, width: shape.size * 8, signed, bigEndian: isBig(shape) };
  // A bit field may reach beyond the bytes of its type.
  const size = Math.ceil((bits.shift + bits.width) / 8);
  return { offset, size, shift: bits.shift, width: bits.width, signed, bigEndian: false };
}

const isBig = (shape: Shape): boolean => shape.kind === "int" && shape.bigEndian;

function run(step: Step, from: Uint8Array, to: Uint8Array): void {
  if (step.kind === "copy") {
    to.set(from.subarray(step.from, step.from + step.length), step.to);
    return;
  }
  const mask = (width: number): bigint => (1n << BigInt(width)) - 1n;
  const raw = (readBytes(from, step.from) >> BigInt(step.from.shift)) & mask(step.from.width);
  const value = step.from.signed ? BigInt.asIntN(step.from.width, raw) : raw;
  const before = readBytes(to, step.to) & ~(mask(step.to.width) << BigInt(step.to.shift));
  writeBytes(to, step.to, before | ((value & mask(step.to.width)) << BigInt(step.to.shift)));
}

function readBytes(bytes: Uint8Array, { offset, size, bigEndian }: IntPlace): bigint {
  let value = 0n;
  for (let index = 0; index < size; index++)
    value = (value << 8n) | BigInt(bytes[offset + (bigEndian ? index : size - 1 - index)] ?? 0);
  return value;
}

function writeBytes(bytes: Uint8Array, { offset, size, bigEndian }: IntPlace, value: bigint): void {
  for (let index = 0; index < size; index++)
    bytes[offset + (bigEndian ? size - 1 - index : index)] = Number((value >> BigInt(8 * index)) & 0xffn);
}
