/**
 * @module
 * As much of OpenAPI v3 as the schemas of custom resources use: a second opinion on what the parser takes.
 */
export interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly not?: Schema;
  readonly nullable?: boolean;
  readonly format?: string;
  readonly "x-kubernetes-int-or-string"?: boolean;
  readonly "x-kubernetes-preserve-unknown-fields"?: boolean;
}

/** What the schema refuses, with the path of each. Unknown fields are refused, as by a strict API server. */
export function violations(schema: Schema, value: unknown, path = ""): string[] {
  const found: string[] = [];
  const fail = (text: string): void => void found.push(`${path}: ${text}`);
  if (value === null) return schema.nullable ? [] : [`${path}: null`];
  if (!hasType(schema, value)) {
    fail(`not of type ${schema.type ?? "int or string"}`);
    return found;
  }
  if (schema.enum && !schema.enum.includes(value)) fail(`${JSON.stringify(value)} is not in the enumeration`);
  found.push(...textViolations(schema, value, path), ...numberViolations(schema, value, path));
  if (Array.isArray(value)) found.push(...listViolations(schema, value, path));
  else if (typeof value === "object") found.push(...mapViolations(schema, value as Record<string, unknown>, path));
  const holds = (part: Schema): boolean =>
    violations({ ...part, "x-kubernetes-preserve-unknown-fields": true }, value).length === 0;
  if (schema.anyOf && !schema.anyOf.some(holds)) fail("none of the alternatives holds");
  if (schema.oneOf && schema.oneOf.filter(holds).length !== 1) fail("not exactly one of the alternatives holds");
  if (schema.allOf && !schema.allOf.every(holds)) fail("not all of the parts hold");
  if (schema.not && holds(schema.not)) fail("what must not hold does");
  return found;
}

function hasType(schema: Schema, value: unknown): boolean {
  if (schema["x-kubernetes-int-or-string"]) return typeof value === "string" || Number.isInteger(value);
  switch (schema.type) {
    case "object":
      return typeof value === "object" && !Array.isArray(value);
    case "array":
      return Array.isArray(value);
    case "string":
      return typeof value === "string";
    case "integer":
      return Number.isInteger(value);
    case "boolean":
      return typeof value === "boolean";
    default:
      return true;
  }
}

function textViolations(schema: Schema, value: unknown, path: string): string[] {
  if (typeof value !== "string") return [];
  const found: string[] = [];
  // Go's \PC is every character that is not of the class Other.
  const pattern = schema.pattern?.replaceAll("\\PC", "\\P{C}");
  if (pattern !== undefined && !new RegExp(pattern, pattern.includes("\\P{") ? "u" : "").test(value))
    found.push(`${path}: does not match ${pattern}`);
  if (schema.maxLength !== undefined && value.length > schema.maxLength) found.push(`${path}: too long`);
  if (schema.minLength !== undefined && value.length < schema.minLength) found.push(`${path}: too short`);
  return found;
}

function numberViolations(schema: Schema, value: unknown, path: string): string[] {
  if (typeof value !== "number") return [];
  const isLow = schema.minimum !== undefined && value < schema.minimum;
  const isHigh = schema.maximum !== undefined && value > schema.maximum;
  return isLow || isHigh ? [`${path}: out of range`] : [];
}

function listViolations(schema: Schema, value: readonly unknown[], path: string): string[] {
  const found: string[] = [];
  if (schema.maxItems !== undefined && value.length > schema.maxItems) found.push(`${path}: too many`);
  if (schema.minItems !== undefined && value.length < schema.minItems) found.push(`${path}: too few`);
  const { items } = schema;
  if (items) for (const [i, item] of value.entries()) found.push(...violations(items, item, `${path}[${i}]`));
  return found;
}

function mapViolations(schema: Schema, value: Readonly<Record<string, unknown>>, path: string): string[] {
  const found: string[] = [];
  for (const name of schema.required ?? []) if (!(name in value)) found.push(`${path}: ${name} is missing`);
  const additional = schema.additionalProperties;
  const isFree = schema["x-kubernetes-preserve-unknown-fields"] || additional === true || !schema.properties;
  for (const [key, child] of Object.entries(value)) {
    const known = schema.properties?.[key] ?? (typeof additional === "object" ? additional : undefined);
    // An empty field counts as absent.
    if (child === null) continue;
    if (known) found.push(...violations(known, child, `${path}.${key}`));
    else if (!isFree) found.push(`${path}.${key}: unknown`);
  }
  return found;
}
