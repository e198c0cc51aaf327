/**
 * @module
 * Prototypes of helpers by number, and which program may call which.
 */
import { helperById, helperByName } from "@skep/isa";
import type { Helper } from "@skep/isa";
import { availabilityRows, gplOnly } from "./availability-rows.ts";
import { prototypeRows } from "./prototype-rows.ts";

/** What an argument must be; the words of `prototypeRows`. */
export interface ArgumentType {
  readonly kind: string;
  /** After the colon: a type's name or what a dynptr holds. */
  readonly detail: string;
  /** Bytes, for memory of a fixed size. */
  readonly size: number;
  readonly nullable: boolean;
  /** `!`: aligned (memory), holds a reference (sockets). */
  readonly strict: boolean;
}

export interface Prototype {
  readonly helper: Helper;
  readonly args: readonly ArgumentType[];
  readonly returns: string;
  /** What `btf:T` names. */
  readonly returnType: string;
  readonly mayUsePacket: boolean;
  readonly maySleep: boolean;
  readonly acquires: boolean;
  readonly releases: boolean;
  readonly gplOnly: boolean;
}

function parseArgument(word: string): ArgumentType {
  const [name = "", rest = ""] = word.split(":");
  const strict = word.endsWith("!");
  const detail = rest.replace("!", "");
  const size = /^\d+$/.test(detail) ? Number(detail) : 0;
  const nullable = name.endsWith("?");
  return { kind: name.replace(/[?!]$/, ""), detail, size, nullable, strict };
}

const byId = new Map<number, Prototype>();
for (const [name, returns, args, properties] of prototypeRows) {
  const helper = helperByName(name);
  if (helper === null) throw new TypeError(`there is no helper ${name}`);
  const [kind = "", returnType = ""] = returns.split(":");
  byId.set(helper.id, {
    helper,
    args: args === "" ? [] : args.split(" ").map(parseArgument),
    returns: kind,
    returnType,
    mayUsePacket: properties.includes("p"),
    maySleep: properties.includes("s"),
    acquires: properties.includes("a"),
    releases: properties.includes("r"),
    gplOnly: gplOnly.includes(helper.id),
  });
}

/** Null for a number that no helper has. */
export function prototypeOf(id: number): Prototype | null {
  return helperById(id) === null ? null : (byId.get(id) ?? null);
}

// Types of programs in which a helper's socket is not the context, or is.
const withSocket: Readonly<Record<string, readonly number[]>> = {
  cgroup_sockopt: [49, 57],
  lsm: [46, 49, 57],
  tracing: [46, 49, 57],
  sk_reuseport: [46],
  struct_ops: [49, 57],
};
const SK_ASSIGN = 124;
/** sk_storage_get, sk_storage_delete: null is for programs of the kernel's functions. */
const storages = [107, 108];
const variants = new Map<string, Prototype>();

/** The prototype as programs of this type see it. */
export function prototypeFor(id: number, type: string): Prototype | null {
  const plain = prototypeOf(id);
  const takesSocket = withSocket[type]?.includes(id) === true;
  const takesContext = id === 107 && type === "cgroup_sock";
  const isTracing = type === "tracing" || type === "lsm";
  const takesNull = id === SK_ASSIGN ? type === "sk_lookup" : isTracing && storages.includes(id);
  if (plain === null || !(takesSocket || takesContext || takesNull)) return plain;
  const key = `${type} ${id}`;
  let variant = variants.get(key);
  if (variant === undefined) {
    const place = takesContext || takesNull ? 1 : 0;
    const wanted = parseArgument(takesContext ? "ctx" : takesNull ? (id === SK_ASSIGN ? "skc?" : "sock?") : "sock");
    variant = { ...plain, args: plain.args.map((arg, index) => (index === place ? wanted : arg)) };
    variants.set(key, variant);
  }
  return variant;
}

function parseRanges(text: string): Set<number> {
  const set = new Set<number>();
  for (const part of text.split(",")) {
    const [first = "", last = first] = part.split("-");
    for (let id = Number(first); id <= Number(last); id++) set.add(id);
  }
  return set;
}

const available = new Map<string, Set<number>>();
for (const [types, ids] of availabilityRows) {
  const set = parseRanges(ids);
  for (const type of types.split(" ")) available.set(type, set);
}

// Programs of functions that the kernel calls with its own types see what other tracing programs see, and a few more.
const tracingExtras = [
  46, 47, 107, 108, 111, 121, 122, 126, 127, 136, 137, 138, 139, 140, 147, 150, 162, 178, 183, 184, 185, 196,
];
const lsmExtras = [46, 49, 57, 145, 146, 148, 159, 161, 193, 186, 187];

function derived(type: string): Set<number> | null {
  const base = available.get("raw_tracepoint");
  if (base === undefined) return null;
  if (type === "tracing") return new Set([...base, ...tracingExtras]);
  if (type === "lsm") return new Set([...base, ...tracingExtras, ...lsmExtras]);
  if (type === "struct_ops") return new Set([...(firstOf("netfilter") ?? []), 49, 57, 107, 108, 116]);
  return null;
}

/** get_retval and set_retval: also these, where it is said that they are attached as what they are. */
const withResult = new Map(
  ["cgroup_device", "cgroup_sysctl"].map((type) => [type, new Set([...(available.get(type) ?? []), 186, 187])]),
);

/** Helpers that programs of this type may call; null for a type of which nothing is known. */
export function helpersOf(type: string, attachType: string | undefined): ReadonlySet<number> | null {
  const own = attachType !== undefined && type.startsWith("cgroup_") ? withResult.get(type) : undefined;
  if (own !== undefined) return own;
  const exact = attachType === undefined ? undefined : available.get(`${type}/${attachType}`);
  const known = exact ?? available.get(type) ?? firstOf(type);
  if (known !== undefined) return known;
  const made = derived(type);
  if (made !== null) available.set(type, made);
  return made;
}

/** A type that always has an attach type, without one: the first that is known. */
function firstOf(type: string): Set<number> | undefined {
  for (const [name, set] of available) if (name.startsWith(`${type}/`)) return set;
  return undefined;
}
