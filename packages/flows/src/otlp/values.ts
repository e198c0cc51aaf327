/** @module Values of OTLP in JSON: 64-bit numbers are texts, names are in camel case. */

export type AnyValue =
  { readonly stringValue: string } | { readonly intValue: string } | { readonly boolValue: boolean };

export interface Attribute {
  readonly key: string;
  readonly value: AnyValue;
}

/** Empty texts and what is absent have no attribute. */
export function attributesOf(values: Readonly<Record<string, string | number | boolean | undefined>>): Attribute[] {
  const found: Attribute[] = [];
  for (const key of Object.keys(values)) {
    const value = values[key];
    if (value === undefined || value === "") continue;
    if (typeof value === "string") found.push({ key, value: { stringValue: value } });
    else if (typeof value === "number") found.push({ key, value: { intValue: String(value) } });
    else found.push({ key, value: { boolValue: value } });
  }
  return found;
}

/** Who sends. */
export interface Resource {
  readonly nodeName: string;
  readonly version: string;
}

export const resourceOf = ({ nodeName, version }: Resource): { attributes: Attribute[] } => ({
  attributes: attributesOf({ "service.name": "skep", "service.version": version, "k8s.node.name": nodeName }),
});
