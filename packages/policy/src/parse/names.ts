import type { Field, Reader } from "../source/reader.ts";

const MAX_NAME = 255;

/** A DNS name as policies write it. */
export function checkName(reader: Reader, field: Field, text: string): void {
  if (text.length > MAX_NAME) reader.report("SKEP6028", field, `a DNS name has at most ${MAX_NAME} characters`);
  else if (!/^[-a-zA-Z0-9_.]+$/.test(text))
    reader.report(
      "SKEP6028",
      field,
      `${JSON.stringify(text)} is no DNS name`,
      text.includes("*") ? "patterns go into matchPattern" : undefined,
    );
}

/** A DNS name with wildcards. */
export function checkPattern(reader: Reader, field: Field, text: string): void {
  if (text.trim().length > MAX_NAME) reader.report("SKEP6028", field, `a pattern has at most ${MAX_NAME} characters`);
  else if (!/^[-a-zA-Z0-9_.*]+$/.test(text))
    reader.report("SKEP6028", field, `${JSON.stringify(text)} is no pattern of DNS names: letters, digits, - _ . *`);
}

/** Name of an object of Kubernetes: RFC 1123 subdomain. */
export function isObjectName(text: string): boolean {
  return text.length <= 253 && /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/.test(text);
}

/** Name of a namespace: RFC 1123 label. */
export function isNamespaceName(text: string): boolean {
  return text.length <= 63 && /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/.test(text);
}
