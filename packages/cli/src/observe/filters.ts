/**
 * @module
 * Flags of `skep observe` to Hubble's filters. Flags are taken in the order in which they stand: `--not` turns the one after it.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { flow } from "@skep/api";
import { FlowLogError, parseFilters } from "@skep/flows";
import { usageError } from "../errors.ts";
import { flagConflict, nameConflict } from "./conflicts.ts";

type Lists = {
  -readonly [
    K in keyof flow.FlowFilter as flow.FlowFilter[K] extends readonly unknown[] ? K : never
  ]?: flow.FlowFilter[K];
};

type ListName = keyof Lists;

/**
 * Two filters, as a flag such as --pod means either end. Where they stay the same there is one.
 */
class Pair {
  readonly left: Lists = {};
  readonly right: Lists = {};

  add<K extends ListName>(ends: { left?: K; right?: K }, value: NonNullable<Lists[K]>[number]): void {
    if (ends.left) append(this.left, ends.left, value);
    if (ends.right) append(this.right, ends.right, value);
  }

  filters(celExpression: string[]): flow.FlowFilter[] {
    const more = celExpression.length === 0 ? {} : { experimental: { celExpression } };
    const [left, right] = [this.left, this.right].map((lists) =>
      create(flow.FlowFilterSchema, { ...lists, ...more } as MessageInitShape<typeof flow.FlowFilterSchema>),
    );
    const given = Object.keys({ ...this.left, ...this.right, ...more }).length;
    if (!left || !right || given === 0) return [];
    return JSON.stringify(this.left, text) === JSON.stringify(this.right, text) ? [left] : [left, right];
  }
}

const text = (_key: string, value: unknown): unknown => (typeof value === "bigint" ? value.toString() : value);

function append<K extends ListName>(lists: Lists, name: K, value: NonNullable<Lists[K]>[number]): void {
  const before = (lists[name] ?? []) as unknown[];
  (lists as Record<string, unknown[]>)[name] = [...before, value];
}

interface Names {
  pods: [ends: { left?: ListName; right?: ListName }, name: string][];
  namespaces: [ends: { left?: ListName; right?: ListName }, name: string][];
}

export class FilterBuilder {
  readonly #allow = new Pair();
  readonly #deny = new Pair();
  readonly #raw: { allow: flow.FlowFilter[]; deny: flow.FlowFilter[] } = { allow: [], deny: [] };
  readonly #names: { allow: Names; deny: Names } = {
    allow: { pods: [], namespaces: [] },
    deny: { pods: [], namespaces: [] },
  };
  readonly #expressions: { allow: string[]; deny: string[] } = { allow: [], deny: [] };
  #not = false;
  /** Ends of which names of pods without a namespace are of any. */
  readonly #ofAny = new Set<"source" | "destination">();

  readonly #given = { allow: new Set<string>(), deny: new Set<string>() };

  /** The flag of this name stands next, without its `--`. Throws a usage error where another one contradicts it. */
  given(name: string): void {
    const given = this.#given[this.#not ? "deny" : "allow"];
    const conflict = flagConflict(given.add(name));
    if (conflict !== null) throw usageError(conflict);
  }

  /** The next flag says what is not wanted. */
  not(): void {
    this.#not = true;
  }

  #side(): "allow" | "deny" {
    const side = this.#not ? "deny" : "allow";
    this.#not = false;
    return side;
  }

  #pair(side: "allow" | "deny"): Pair {
    return side === "allow" ? this.#allow : this.#deny;
  }

  /** A field of the packet: both filters of the pair have it. */
  field<K extends ListName>(name: K, value: NonNullable<Lists[K]>[number]): void {
    this.#pair(this.#side()).add({ left: name, right: name }, value);
  }

  /** A field of one end, or of either. */
  end<S extends ListName, D extends ListName>(
    end: "source" | "destination" | "either",
    names: { readonly source: S; readonly destination: D },
    value: NonNullable<Lists[S]>[number] & NonNullable<Lists[D]>[number],
  ): void {
    const pair = this.#pair(this.#side());
    const { source, destination } = names;
    if (end === "either") {
      pair.add({ left: source }, value);
      pair.add({ right: destination }, value);
    } else {
      const name = end === "source" ? source : destination;
      pair.add({ left: name, right: name }, value);
    }
  }

  pod(end: "source" | "destination" | "either", name: string): void {
    this.#names[this.#side()].pods.push([podEnds(end), name]);
  }

  namespace(end: "source" | "destination" | "either", name: string): void {
    this.#names[this.#side()].namespaces.push([podEnds(end), name]);
  }

  /** An expression in CEL over the flow. */
  expression(text: string): void {
    this.#expressions[this.#side()].push(text);
  }

  allNamespaces(end: "source" | "destination" | "either"): void {
    for (const each of ["source", "destination"] as const) if (end === each || end === "either") this.#ofAny.add(each);
  }

  /** Filters in Hubble's own JSON, one or several after each other. */
  raw(list: "allow" | "deny", json: string): void {
    try {
      this.#raw[list].push(...parseFilters(json));
    } catch (error) {
      if (error instanceof FlowLogError) throw usageError(error.message, { cause: error });
      throw error;
    }
  }

  build(): { allow: flow.FlowFilter[]; deny: flow.FlowFilter[] } {
    if (this.#not) throw usageError("--not stands before the filter that it turns, as in --not --verdict FORWARDED");
    for (const side of ["allow", "deny"] as const) {
      this.#refuseContradictions(side);
      this.#placeNames(side);
    }
    return {
      allow: [...this.#raw.allow, ...this.#allow.filters(this.#expressions.allow)],
      deny: [...this.#raw.deny, ...this.#deny.filters(this.#expressions.deny)],
    };
  }

  #refuseContradictions(side: "allow" | "deny"): void {
    const { left, right } = this.#pair(side);
    const { pods, namespaces } = this.#names[side];
    for (const [filter, lists] of [
      ["left", left],
      ["right", right],
    ] as const) {
      for (const end of ["source", "destination"] as const) {
        const of = (names: Names["pods"]): string[] =>
          names.filter(([ends]) => ends[filter] === `${end}Pod`).map(([, name]) => name);
        const services = lists[`${end}Service`] ?? [];
        const conflict = nameConflict({ namespaces: of(namespaces), pods: of(pods), services });
        if (conflict !== null) throw usageError(conflict);
      }
    }
  }

  /** A namespace completes names of pods that have none; alone it means all its pods. */
  #placeNames(side: "allow" | "deny"): void {
    const { pods, namespaces } = this.#names[side];
    const pair = this.#pair(side);
    const used = new Set<string>();
    for (const [ends, name] of pods) {
      const fitting = name.includes("/") ? [] : namespaces.filter(([other]) => sharesEnd(ends, other));
      for (const [, namespace] of fitting) used.add(namespace);
      const full = fitting.map(([, namespace]) => `${namespace}/${name}`);
      const isOfAny = (Object.values(ends) as ListName[]).every((each) =>
        this.#ofAny.has(each === "sourcePod" ? "source" : "destination"),
      );
      const alone = isOfAny && !name.includes("/") ? `/${name}` : name;
      for (const each of full.length > 0 ? full : [alone]) addPod(pair, ends, each);
    }
    for (const [ends, namespace] of namespaces) if (!used.has(namespace)) addPod(pair, ends, `${namespace}/`);
  }
}

type PodEnds = { left?: ListName; right?: ListName };

function podEnds(end: "source" | "destination" | "either"): PodEnds {
  if (end === "either") return { left: "sourcePod", right: "destinationPod" };
  const name = end === "source" ? "sourcePod" : "destinationPod";
  return { left: name, right: name };
}

const sharesEnd = (a: PodEnds, b: PodEnds): boolean => a.left === b.left || a.right === b.right;

function addPod(pair: Pair, ends: PodEnds, name: string): void {
  if (ends.left) append(pair.left, ends.left, name);
  if (ends.right) append(pair.right, ends.right, name);
}
