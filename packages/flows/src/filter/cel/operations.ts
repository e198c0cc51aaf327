import { Moment, type Value } from "./values.ts";

/** An expression that cannot be evaluated for a flow: that flow does not match. */
export class EvaluationError extends Error {
  override readonly name = "EvaluationError";
}

function fail(message: string): never {
  throw new EvaluationError(message);
}

const isNumber = (value: Value): value is bigint | number => typeof value === "bigint" || typeof value === "number";

export function equal(a: Value, b: Value): boolean {
  // JavaScript compares bigint and number by value.
  // oxlint-disable-next-line eqeqeq
  if (isNumber(a) && isNumber(b)) return a == b;
  if (a instanceof Moment && b instanceof Moment) return a.kind === b.kind && a.nanoseconds === b.nanoseconds;
  if (a instanceof Uint8Array && b instanceof Uint8Array) {
    return a.length === b.length && a.every((byte, at) => byte === b[at]);
  }
  if (Array.isArray(a) && Array.isArray(b)) {
    const [left, right] = [a as readonly Value[], b as readonly Value[]];
    return left.length === right.length && left.every((each, at) => equal(each, right[at] ?? null));
  }
  return a === b;
}

/** Below 0, 0 or above 0. */
export function compare(a: Value, b: Value): number {
  if (isNumber(a) && isNumber(b)) return a < b ? -1 : a > b ? 1 : 0;
  if (typeof a === "string" && typeof b === "string") return a < b ? -1 : a > b ? 1 : 0;
  if (typeof a === "boolean" && typeof b === "boolean") return Number(a) - Number(b);
  if (a instanceof Moment && b instanceof Moment && a.kind === b.kind) {
    return a.nanoseconds < b.nanoseconds ? -1 : a.nanoseconds > b.nanoseconds ? 1 : 0;
  }
  return fail("these values have no order");
}

function addMoments(a: Moment, b: Moment): Moment {
  if (a.kind === "timestamp" && b.kind === "timestamp") return fail("two timestamps cannot be added");
  const kind = a.kind === "timestamp" || b.kind === "timestamp" ? "timestamp" : "duration";
  return new Moment(kind, a.nanoseconds + b.nanoseconds);
}

function subtractMoments(a: Moment, b: Moment): Moment {
  if (a.kind === "duration" && b.kind === "timestamp") return fail("a timestamp cannot be taken from a duration");
  const kind = a.kind === b.kind ? "duration" : "timestamp";
  return new Moment(kind, a.nanoseconds - b.nanoseconds);
}

function arithmetic(operator: string, a: bigint | number, b: bigint | number): bigint | number {
  if (typeof a === "bigint" && typeof b === "bigint") {
    switch (operator) {
      case "+":
        return a + b;
      case "-":
        return a - b;
      case "*":
        return a * b;
      case "/":
        return b === 0n ? fail("division by zero") : a / b;
      default:
        return b === 0n ? fail("division by zero") : a % b;
    }
  }
  if (typeof a !== typeof b) return fail("an integer and a double do not mix: convert one with int() or double()");
  const [x, y] = [Number(a), Number(b)];
  if (operator === "%") return fail("doubles have no remainder");
  return operator === "+" ? x + y : operator === "-" ? x - y : operator === "*" ? x * y : x / y;
}

export function calculate(operator: string, a: Value, b: Value): Value {
  if (isNumber(a) && isNumber(b)) return arithmetic(operator, a, b);
  if (a instanceof Moment && b instanceof Moment) {
    if (operator === "+") return addMoments(a, b);
    if (operator === "-") return subtractMoments(a, b);
  }
  if (operator === "+") {
    if (typeof a === "string" && typeof b === "string") return a + b;
    if (Array.isArray(a) && Array.isArray(b)) return [...(a as Value[]), ...(b as Value[])];
    if (a instanceof Uint8Array && b instanceof Uint8Array) return Uint8Array.of(...a, ...b);
  }
  return fail(`${operator} does not take these values`);
}

export function contains(container: Value, wanted: Value): boolean {
  if (Array.isArray(container)) return (container as readonly Value[]).some((each) => equal(each, wanted));
  if (container instanceof Map) return [...container.keys()].some((key) => equal(key as Value, wanted));
  return fail('"in" looks into lists and maps');
}

export function indexOf(container: Value, index: Value): Value {
  if (Array.isArray(container)) {
    const items = container as readonly Value[];
    const found = isNumber(index) ? items[Number(index)] : undefined;
    return found === undefined ? fail("there is nothing at this index") : found;
  }
  if (container instanceof Map) {
    for (const [key, value] of container as ReadonlyMap<Value, Value>) if (equal(key, index)) return value;
    return fail("the map has no such key");
  }
  return fail("only lists and maps have an index");
}

export function sizeOf(value: Value): bigint {
  if (typeof value === "string") return BigInt([...value].length);
  if (value instanceof Uint8Array || Array.isArray(value)) return BigInt(value.length);
  if (value instanceof Map) return BigInt(value.size);
  return fail("this value has no size");
}

const units: Readonly<Record<string, number>> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };

export function durationOf(text: string): Moment {
  if (!/^-?(\d+(\.\d+)?(ns|us|ms|s|m|h))+$/.test(text)) return fail(`${text} is no duration`);
  let total = 0;
  for (const [, amount, unit = "s"] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)/g)) {
    total += Number(amount) * (units[unit] ?? 0);
  }
  return new Moment("duration", BigInt(Math.round(text.startsWith("-") ? -total : total)));
}

export function timestampOf(text: string): Moment {
  const milliseconds = Date.parse(text);
  const fraction = /\.(\d+)/.exec(text)?.[1]?.slice(0, 9).padEnd(9, "0") ?? "0";
  if (Number.isNaN(milliseconds)) return fail(`${text} is no timestamp`);
  return new Moment("timestamp", BigInt(Math.floor(milliseconds / 1000)) * 1_000_000_000n + BigInt(fraction));
}

export function toInt(value: Value): bigint {
  if (typeof value === "bigint") return value;
  if (typeof value === "number" && Number.isFinite(value)) return BigInt(Math.trunc(value));
  if (typeof value === "string" && /^-?\d+$/.test(value)) return BigInt(value);
  if (value instanceof Moment) return value.nanoseconds / 1_000_000_000n;
  return fail("this value is no integer");
}

export function toDouble(value: Value): number {
  if (isNumber(value)) return Number(value);
  if (typeof value === "string" && value.trim() !== "" && !Number.isNaN(Number(value))) return Number(value);
  return fail("this value is no number");
}

export function toText(value: Value): string {
  if (typeof value === "string") return value;
  if (isNumber(value) || typeof value === "boolean") return String(value);
  if (value instanceof Uint8Array) return new TextDecoder().decode(value);
  return fail("this value has no text");
}
