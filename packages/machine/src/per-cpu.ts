/**
 * @module
 * Values of per-CPU maps: one for each possible CPU, each rounded up to eight bytes.
 */
import type { Loose } from "@skep/bpf";
import type { ValueCodec } from "./codec/codec.ts";

/** The values of one key, by CPU number. */
export interface PerCpu<V> extends ReadonlyArray<V> {
  /** Numbers added up, field by field; of what does not add up (text, booleans) the first CPU's. */
  sum(): V;
}

const stride = (size: number): number => (size + 7) & ~7;

/** Numbers wrap as doubles do not: counters of 32 bits added over CPUs may exceed 32 bits, and should. */
function add(left: unknown, right: unknown): unknown {
  if (typeof left === "number" && typeof right === "number") return left + right;
  if (typeof left === "bigint" && typeof right === "bigint") return left + right;
  if (Array.isArray(left) && Array.isArray(right)) return left.map((each: unknown, at) => add(each, right[at]));
  if (isRecord(left) && isRecord(right))
    return Object.fromEntries(Object.entries(left).map(([name, each]) => [name, add(each, right[name])]));
  return left;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !(value instanceof Uint8Array);
}

class Values<V> extends Array<V> implements PerCpu<V> {
  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }

  sum(): V {
    return this.reduce((total, each) => add(total, each) as V);
  }
}

export function decodeValues<V>(codec: ValueCodec<V>, bytes: Uint8Array): PerCpu<V> {
  const step = stride(codec.size);
  const values = new Values<V>();
  for (let at = 0; at + codec.size <= bytes.length; at += step)
    values.push(codec.decode(bytes.subarray(at, at + codec.size)));
  return values;
}

export function encodeValues<V>(codec: ValueCodec<V>, values: readonly Loose<V>[]): Uint8Array {
  const step = stride(codec.size);
  const bytes = new Uint8Array(step * values.length);
  values.forEach((value, cpu) => bytes.set(codec.encode(value), cpu * step));
  return bytes;
}
