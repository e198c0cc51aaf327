import type { Field, Fields, Reader } from "../source/reader.ts";
import { join } from "../source/reader.ts";
import { isNamespaceName, isObjectName } from "./names.ts";

/** What every object of Kubernetes starts with. */
export interface ObjectHead {
  readonly root: Field;
  readonly apiVersion: string;
  readonly kind: string;
}

export interface Metadata {
  /** Empty for objects of the whole cluster. */
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Null after an error. `defaultNamespace` null: the kind has no namespace. */
export function parseMetadata(reader: Reader, object: Fields, defaultNamespace: string | null): Metadata | null {
  const field = object.require("metadata");
  const node = field && reader.map(field);
  if (!field || !node) return null;
  const part = (name: string): Field | null => {
    const value = node.entries.get(name)?.value;
    return value === undefined || (value.kind === "scalar" && value.value === null)
      ? null
      : { node: value, path: join(field.path, name) };
  };
  const nameField = part("name");
  const name = nameField && reader.string(nameField);
  if (!nameField || name === "") reader.report("SKEP6004", field, "the field name is missing");
  else if (name !== null && !isObjectName(name))
    reader.report("SKEP6033", nameField, `${JSON.stringify(name)} is no name: lower case letters, digits, - and .`);
  const namespaceField = part("namespace");
  let namespace = defaultNamespace ?? "";
  if (namespaceField) {
    const text = reader.string(namespaceField) ?? "";
    if (defaultNamespace === null) {
      if (text !== "") reader.warn("SKEP6037", namespaceField, "this kind has no namespace: it is in force everywhere");
    } else if (!isNamespaceName(text))
      reader.report("SKEP6033", namespaceField, `${JSON.stringify(text)} is no name of a namespace`);
    else namespace = text;
  }
  const labels = texts(reader, part("labels"));
  const annotations = texts(reader, part("annotations"));
  return name ? { namespace, name, labels, annotations } : null;
}

function texts(reader: Reader, field: Field | null): Record<string, string> {
  const node = field && reader.map(field);
  const result: Record<string, string> = {};
  for (const [key, entry] of node?.entries ?? []) {
    const at = { node: entry.value, path: `${field?.path ?? ""}[${JSON.stringify(key)}]` };
    const isNull = entry.value.kind === "scalar" && entry.value.value === null;
    const text = isNull ? "" : reader.string(at);
    if (text !== null) result[key] = text;
  }
  return result;
}
