/**
 * @module
 * Whether the types that user space was written against are those of the loaded program.
 */
import type { ValueCodec } from "./codec/codec.ts";

/** Where two types disagree. */
export interface LayoutDifference {
  /** Path in the value, such as `value.port`; "value" for the whole. */
  readonly path: string;
  readonly expected: unknown;
  readonly found: unknown;
}

/** The module's types are not those of the object: one of the two is older. */
export class LayoutMismatchError extends Error {
  override readonly name = "LayoutMismatchError";
  readonly subject: string;
  readonly difference: LayoutDifference;

  constructor(subject: string, difference: LayoutDifference) {
    super(`${subject}: the module and the object disagree at ${difference.path}: compile the module again`);
    this.subject = subject;
    this.difference = difference;
  }
}

/**
 * Byte patterns in which every byte of a value up to 250 bytes differs from the others, in one of them at least by its high bit: two
 * codecs that decode them alike read the same bytes with the same width, sign and order into the same names.
 */
const patterns: readonly ((at: number) => number)[] = [
  (at) => (at % 251) + 1,
  (at) => 255 - (at % 251),
  (at) => (at * 89 + 17) & 255,
];

/** The first difference between two codecs, or null where they agree. */
export function compareCodecs(expected: ValueCodec<unknown>, found: ValueCodec<unknown>): LayoutDifference | null {
  if (expected.size !== found.size) return { path: "size", expected: expected.size, found: found.size };
  for (const pattern of patterns) {
    const bytes = Uint8Array.from({ length: expected.size }, (_, at) => pattern(at));
    const difference = compare("value", expected.decode(bytes), found.decode(bytes));
    if (difference) return difference;
  }
  return null;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;

function compare(path: string, expected: unknown, found: unknown): LayoutDifference | null {
  if (!isObject(expected) || !isObject(found)) return Object.is(expected, found) ? null : { path, expected, found };
  const names = new Set([...Object.keys(expected), ...Object.keys(found)]);
  for (const name of names) {
    const difference = compare(`${path}.${name}`, expected[name], found[name]);
    if (difference) return difference;
  }
  return null;
}
