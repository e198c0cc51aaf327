/**
 * @module
 * Values and their static types. Signed and unsigned integers and enums are one type here, `int`: no flow comes near their limits.
 */
import { create, type DescField, type DescMessage, type Message } from "@bufbuild/protobuf";

/** What a timestamp or a duration is inside: nanoseconds. */
export class Moment {
  readonly kind: "timestamp" | "duration";
  readonly nanoseconds: bigint;

  constructor(kind: "timestamp" | "duration", nanoseconds: bigint) {
    this.kind = kind;
    this.nanoseconds = nanoseconds;
  }
}

export type Value =
  | null
  | boolean
  | bigint
  | number
  | string
  | Uint8Array
  | Moment
  | Message
  | readonly Value[]
  | ReadonlyMap<Value, Value>;

export type Type =
  | { readonly kind: "dyn" | "null" | "bool" | "int" | "double" | "string" | "bytes" | "timestamp" | "duration" }
  | { readonly kind: "list"; readonly of: Type }
  | { readonly kind: "map" }
  | { readonly kind: "message"; readonly desc: DescMessage };

export const dyn: Type = { kind: "dyn" };

export function typeName(type: Type): string {
  if (type.kind === "message") return type.desc.typeName;
  return type.kind === "list" ? `list(${typeName(type.of)})` : type.kind;
}

/** Whether values of both types can be compared. `dyn` fits all. */
export function comparable(a: Type, b: Type): boolean {
  const numeric = (type: Type): boolean => type.kind === "int" || type.kind === "double";
  return a.kind === "dyn" || b.kind === "dyn" || a.kind === b.kind || (numeric(a) && numeric(b));
}

const wrapperPattern = /^google\.protobuf\.(\w+)Value$/;
const wrapperKinds: Readonly<Record<string, Type["kind"]>> = {
  ...{ Bool: "bool", String: "string", Bytes: "bytes", Double: "double", Float: "double" },
};

function messageType(desc: DescMessage): Type {
  if (desc.typeName === "google.protobuf.Timestamp") return { kind: "timestamp" };
  if (desc.typeName === "google.protobuf.Duration") return { kind: "duration" };
  const wrapped = wrapperPattern.exec(desc.typeName)?.[1];
  // A wrapper is its value, or null where it is absent.
  if (wrapped !== undefined) return { kind: wrapperKinds[wrapped] ?? "int" } as Type;
  return { kind: "message", desc };
}

function elementType(field: DescField): Type {
  if (field.message) return messageType(field.message);
  if (field.enum) return { kind: "int" };
  const zero = field.fieldKind === "scalar" || field.fieldKind === "list" ? field.scalar : undefined;
  return { kind: scalarKinds[zero ?? 0] ?? "int" } as Type;
}

/** By ScalarType: double, float, bool, string, bytes; all others are integers. */
const scalarKinds: Readonly<Record<number, Type["kind"]>> = {
  1: "double",
  2: "double",
  8: "bool",
  9: "string",
  12: "bytes",
};

export function fieldType(field: DescField): Type {
  const type = elementType(field);
  return field.fieldKind === "list" ? { kind: "list", of: type } : type;
}

interface TimeMessage {
  readonly seconds: bigint;
  readonly nanos: number;
}

/** A scalar, enum or message of protobuf-es as a value. */
function valueOf(type: Type, raw: unknown): Value {
  if (raw === undefined || raw === null) {
    // Reading through what is absent gives its zero, as in every protobuf language.
    return type.kind === "message" ? create(type.desc) : null;
  }
  if (type.kind === "int" && typeof raw === "number") return BigInt(raw);
  if (type.kind === "timestamp" || type.kind === "duration") {
    const { seconds, nanos } = raw as TimeMessage;
    return new Moment(type.kind, seconds * 1_000_000_000n + BigInt(nanos));
  }
  return raw as Value;
}

type Loose = Readonly<Record<string, unknown>>;

function rawField(message: Message, field: DescField): unknown {
  const loose = message as unknown as Loose;
  if (!field.oneof) return loose[field.localName];
  const chosen = loose[field.oneof.localName] as { readonly case?: string; readonly value?: unknown };
  return chosen.case === field.localName ? chosen.value : undefined;
}

export function readField(message: Message, field: DescField, type: Type): Value {
  const raw = rawField(message, field);
  if (type.kind === "list") return ((raw ?? []) as readonly unknown[]).map((each) => valueOf(type.of, each));
  return valueOf(type, raw);
}

/** What `has()` asks: set, or not the zero of its type. */
export function isSet(message: Message, field: DescField): boolean {
  const raw = rawField(message, field);
  if (raw === undefined) return false;
  if (Array.isArray(raw)) return raw.length > 0;
  if (field.oneof !== undefined || field.message !== undefined) return true;
  return raw !== 0 && raw !== "" && raw !== false && raw !== 0n;
}
