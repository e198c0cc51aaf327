/**
 * @module
 * Messages as Go's protojson prints them: one line, fields in declaration order, and `<`, `>`, `&` escaped as encoding/json does.
 */
import type { DescEnum, DescField, DescMessage, Message, Registry } from "@bufbuild/protobuf";
import { createRegistry, ScalarType, toJson } from "@bufbuild/protobuf";
import { anyUnpack, type Any, file_google_protobuf_wrappers, type Timestamp } from "@bufbuild/protobuf/wkt";
import { flow, observer } from "@skep/api";

export interface JsonOptions {
  /** `proto` names (snake_case, what `hubble observe` prints) or `json` names. Default proto. */
  readonly names?: "proto" | "json";
}

type Writer = (value: unknown, names: "proto" | "json") => string;

interface FieldPlan {
  readonly protoName: string;
  readonly jsonName: string;
  /** Name of the property that holds it: the oneof's where it is in one. */
  readonly property: string;
  readonly oneofCase: string | null;
  readonly isPresent: (value: unknown) => boolean;
  readonly write: Writer;
}

/** For `Any`. */
const registry: Registry = createRegistry(
  flow.file_flow_flow,
  observer.file_observer_observer,
  file_google_protobuf_wrappers,
);

/** encoding/json escapes these in every string; U+2028 and U+2029 as well. */
const htmlEscapes = /[<>&\u2028\u2029]/g;

export function jsonString(text: string): string {
  const quoted = JSON.stringify(text);
  return quoted.replace(htmlEscapes, (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** RFC 3339 with 0, 3, 6 or 9 digits of the second. */
export function formatTimestamp(time: Timestamp): string {
  const seconds = new Date(Number(time.seconds) * 1000).toISOString().slice(0, 19);
  if (time.nanos === 0) return `${seconds}Z`;
  const digits = time.nanos.toString().padStart(9, "0");
  const kept = digits.endsWith("000000") ? 3 : digits.endsWith("000") ? 6 : 9;
  return `${seconds}.${digits.slice(0, kept)}Z`;
}

function scalarWriter(scalar: ScalarType): Writer {
  switch (scalar) {
    case ScalarType.STRING:
      return (value) => jsonString(value as string);
    case ScalarType.BYTES:
      return (value) => `"${base64(value as Uint8Array)}"`;
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
    case ScalarType.SINT64:
      return (value) => `"${String(value)}"`;
    case ScalarType.FLOAT:
    case ScalarType.DOUBLE:
      return (value) => (Number.isFinite(value) ? String(value) : `"${String(value)}"`);
    default:
      return String;
  }
}

const base64 = (bytes: Uint8Array): string => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));

function enumWriter(desc: DescEnum): Writer {
  return (value) => {
    const known = desc.value[value as number];
    return known ? `"${known.name}"` : String(value);
  };
}

function anyWriter(value: unknown): string {
  const any = value as Any;
  const unpacked = anyUnpack(any, registry);
  if (!unpacked) return `{"@type":${jsonString(any.typeUrl)},"value":"${base64(any.value)}"}`;
  return escapeHtml(
    JSON.stringify(toJson(registry.getMessage(unpacked.$typeName) as DescMessage, unpacked, { registry }), null, 0),
    any,
  );
}

/** The type comes first, as protojson has it. */
function escapeHtml(text: string, any: Any): string {
  const escaped = text.replace(htmlEscapes, (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`);
  const type = `{"@type":${jsonString(any.typeUrl)}`;
  if (escaped.startsWith("{")) return escaped === "{}" ? `${type}}` : `${type},${escaped.slice(1)}`;
  return `${type},"value":${escaped}}`;
}

function messageWriter(desc: DescMessage): Writer {
  if (desc.typeName === "google.protobuf.Timestamp") return (value) => `"${formatTimestamp(value as Timestamp)}"`;
  if (desc.typeName === "google.protobuf.Any") return anyWriter;
  if (desc.typeName === "google.protobuf.FieldMask") return (value) => JSON.stringify(toJson(desc, value as Message));
  return (value, names) => writeMessage(desc, value as Message, names);
}

function valueWriter(field: DescField): Writer {
  if (field.fieldKind === "list") {
    const write = elementWriter(field);
    return (value, names) => `[${(value as unknown[]).map((each) => write(each, names)).join(",")}]`;
  }
  if (field.fieldKind === "map") throw new Error(`${field.toString()}: no message printed here has a map`);
  return elementWriter(field);
}

function elementWriter(field: DescField & { readonly fieldKind: "scalar" | "enum" | "message" | "list" }): Writer {
  if (field.message) return wrapped(field.message) ?? messageWriter(field.message);
  if (field.enum) return enumWriter(field.enum);
  return scalarWriter(field.scalar as ScalarType);
}

/** Wrapper messages are bare values, here and in the property. */
function wrapped(desc: DescMessage): Writer | null {
  if (!/^google\.protobuf\.\w+Value$/.test(desc.typeName)) return null;
  const value = desc.fields[0];
  return value?.fieldKind === "scalar" && desc.fields.length === 1 ? scalarWriter(value.scalar) : null;
}

function presence(field: DescField): (value: unknown) => boolean {
  if (field.oneof || field.message) {
    if (field.fieldKind !== "list") return (value) => value !== undefined;
  }
  if (field.fieldKind === "list") return (value) => (value as unknown[]).length > 0;
  return (value) => value !== 0 && value !== "" && value !== false && value !== 0n;
}

const plans = new WeakMap<DescMessage, readonly FieldPlan[]>();

function planOf(desc: DescMessage): readonly FieldPlan[] {
  let plan = plans.get(desc);
  if (!plan) {
    plan = desc.fields.map((field) => ({
      protoName: field.name,
      jsonName: field.jsonName,
      property: field.oneof ? field.oneof.localName : field.localName,
      oneofCase: field.oneof ? field.localName : null,
      isPresent: presence(field),
      write: valueWriter(field),
    }));
    plans.set(desc, plan);
  }
  return plan;
}

function writeMessage(desc: DescMessage, message: Message, names: "proto" | "json"): string {
  const record = message as unknown as Readonly<Record<string, unknown>>;
  const parts: string[] = [];
  for (const field of planOf(desc)) {
    let value = record[field.property];
    if (field.oneofCase !== null) {
      const chosen = value as { readonly case?: string; readonly value?: unknown };
      if (chosen.case !== field.oneofCase) continue;
      value = chosen.value;
    }
    if (!field.isPresent(value)) continue;
    parts.push(`"${names === "proto" ? field.protoName : field.jsonName}":${field.write(value, names)}`);
  }
  return `{${parts.join(",")}}`;
}

/** One message as one line of JSON, without a line end. */
export function jsonLine(desc: DescMessage, message: Message, options: JsonOptions = {}): string {
  return writeMessage(desc, message, options.names ?? "proto");
}
