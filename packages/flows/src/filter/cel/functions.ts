/**
 * @module
 * Functions and macros of the language.
 */
import { celError } from "./lexer.ts";
import { durationOf, EvaluationError, sizeOf, timestampOf, toDouble, toInt, toText } from "./operations.ts";
import type { Node } from "./parser.ts";
import { dyn, type Type, type Value } from "./values.ts";

const bool: Type = { kind: "bool" };
const int: Type = { kind: "int" };

export function truth(value: Value): boolean {
  if (typeof value !== "boolean") throw new EvaluationError("a bool is needed here");
  return value;
}

export type Macro = (items: readonly Value[], test: (item: Value) => Value) => Value;

export const macros: Readonly<Record<string, Macro>> = {
  all: (items, test) => items.every((item) => truth(test(item))),
  exists: (items, test) => items.some((item) => truth(test(item))),
  exists_one: (items, test) => items.filter((item) => truth(test(item))).length === 1,
  filter: (items, test) => items.filter((item) => truth(test(item))),
  map: (items, test) => items.map(test),
};

export interface CelFunction {
  /** True: only after a dot; false: only before parentheses; absent: both. */
  readonly method?: boolean;
  readonly takes: readonly (readonly Type["kind"][] | null)[];
  readonly gives: Type;
  readonly run: (values: readonly Value[]) => Value;
  /** Work that constant arguments allow to do once. */
  readonly prepare?: (node: Node & { readonly kind: "call" }) => ((values: readonly Value[]) => Value) | null;
}

const text = (values: readonly Value[], at: number): string => {
  const value = values[at];
  if (typeof value !== "string") throw new EvaluationError("a string is needed here");
  return value;
};

const first = (values: readonly Value[]): Value => values[0] ?? null;

function pattern(source: string, at: number): RegExp {
  try {
    return new RegExp(source);
  } catch (cause) {
    throw Object.assign(celError(`${JSON.stringify(source)} is not a regular expression`, at), { cause });
  }
}

const string = ["string"] as const;
const ofStrings = (run: (a: string, b: string) => boolean): CelFunction => ({
  method: true,
  takes: [string, string],
  gives: bool,
  run: (values) => run(text(values, 0), text(values, 1)),
});

export const functions: Readonly<Record<string, CelFunction>> = {
  startsWith: ofStrings((a, b) => a.startsWith(b)),
  endsWith: ofStrings((a, b) => a.endsWith(b)),
  contains: ofStrings((a, b) => a.includes(b)),
  matches: {
    takes: [string, string],
    gives: bool,
    run: (values) => pattern(text(values, 1), 0).test(text(values, 0)),
    prepare(node) {
      const source = node.args.at(-1);
      if (source?.kind !== "value" || typeof source.value !== "string") return null;
      const compiled = pattern(source.value, source.at);
      return (values) => compiled.test(text(values, 0));
    },
  },
  size: { takes: [["string", "bytes", "list", "map"]], gives: int, run: (values) => sizeOf(first(values)) },
  int: { method: false, takes: [null], gives: int, run: (values) => toInt(first(values)) },
  uint: { method: false, takes: [null], gives: int, run: (values) => toInt(first(values)) },
  double: { method: false, takes: [null], gives: { kind: "double" }, run: (values) => toDouble(first(values)) },
  string: { method: false, takes: [null], gives: { kind: "string" }, run: (values) => toText(first(values)) },
  dyn: { method: false, takes: [null], gives: dyn, run: first },
  duration: {
    method: false,
    takes: [string],
    gives: { kind: "duration" },
    run: (values) => durationOf(text(values, 0)),
  },
  timestamp: {
    method: false,
    takes: [string],
    gives: { kind: "timestamp" },
    run: (values) => timestampOf(text(values, 0)),
  },
};
