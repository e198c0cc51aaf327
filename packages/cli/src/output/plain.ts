import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";

export type Plain = null | boolean | number | string | readonly Plain[] | { readonly [key: string]: Plain };

type Loose = Readonly<Record<string, unknown>>;

function scalar(value: unknown): Plain {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  return value as Plain;
}

function fieldValue(field: DescField, value: unknown): Plain {
  const one = (each: unknown): Plain =>
    field.message ? plain(field.message, each as Message) : field.enum ? enumName(field, each) : scalar(each);
  if (field.fieldKind === "list") return (value as unknown[]).map(one);
  if (field.fieldKind === "map") {
    const sorted = Object.entries(value as Loose).sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(sorted.map(([key, each]) => [key, one(each)]));
  }
  return one(value);
}

function enumName(field: DescField, value: unknown): Plain {
  return field.enum?.value[value as number]?.name ?? (value as number);
}

/** A message as plain values with the names of the proto; every field is there, numbers are numbers. */
export function plain(desc: DescMessage, message: Message): { readonly [key: string]: Plain } {
  const loose = message as unknown as Loose;
  const found: Record<string, Plain> = {};
  for (const field of desc.fields) {
    const chosen = field.oneof ? (loose[field.oneof.localName] as { case?: string; value?: unknown }) : null;
    if (chosen && chosen.case !== field.localName) continue;
    const value = chosen ? chosen.value : loose[field.localName];
    if (value !== undefined) found[field.name] = fieldValue(field, value);
  }
  return found;
}
