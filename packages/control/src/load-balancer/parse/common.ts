/**
 * @module
 * What the readers of Kubernetes objects share.
 */
import { type Address, packAddress, parseAddress } from "@skep/net";
import {
  type Diagnostic,
  type Field,
  Fields,
  type ForeignDocument,
  hasErrors,
  Reader,
  type SourceNode,
} from "@skep/policy";
import { packed } from "../../packed.ts";

/** `spec` is null after an error. */
export type DocumentParser<S> = (
  document: ForeignDocument,
  file: string,
) => { readonly spec: S | null; readonly diagnostics: readonly Diagnostic[] };

/** What reads a document as a parser of it, which gives what was wrong too. */
export function documentParser<S>(
  read: (reader: Reader, document: ForeignDocument, file: string) => S | null,
): DocumentParser<S> {
  return (document, file) => {
    const reader = new Reader();
    const spec = read(reader, document, file);
    return { spec: hasErrors(reader.diagnostics) ? null : spec, diagnostics: reader.diagnostics };
  };
}

export const PROTOCOLS = { TCP: 6, UDP: 17, SCTP: 132 } as const;
const PROTOCOL_NAMES = Object.keys(PROTOCOLS) as (keyof typeof PROTOCOLS)[];

/** IANA number; TCP where nothing is said; null after an error. */
export function readProtocol(reader: Reader, field: Field | null): number | null {
  if (!field) return PROTOCOLS.TCP;
  const name = reader.oneOf(field, PROTOCOL_NAMES, "SKEP6019");
  return name && PROTOCOLS[name];
}

/** Null after an error, and for an empty text. */
export function readAddress(reader: Reader, field: Field): Address | null {
  const text = reader.string(field);
  if (text === null || text === "") return null;
  const address = parseAddress(text);
  if (!address) reader.report("SKEP6013", field, `${JSON.stringify(text)} is no IP address`);
  return address && packAddress(address);
}

export function readAddresses(reader: Reader, fields: readonly Field[] | null): readonly Address[] {
  return packed((fields ?? []).flatMap((field) => readAddress(reader, field) ?? []));
}

/** IANA service names (RFC 6335), as Kubernetes has them. */
export function readPortName(reader: Reader, field: Field): string | null {
  const name = reader.string(field);
  if (name === null || (/^[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$/.test(name) && /[a-z]/.test(name))) return name;
  reader.report(
    "SKEP6017",
    field,
    `${JSON.stringify(name)} is no port`,
    "write a number, or the name of a workload's port",
  );
  return null;
}

/** Fields of an object that machines write: what is not known here is left out, without a word. */
export function looseFields(reader: Reader, field: Field | null): Fields | null {
  const node = field && reader.map(field);
  return node ? new Fields(reader, { node, path: field?.path ?? "" }) : null;
}

export function documentRoot(document: ForeignDocument): Field {
  return { node: document.node, path: "" };
}

/** A text at a path of keys, without complaint; empty where there is none. */
export function textAt(node: SourceNode | undefined, ...path: string[]): string {
  let at = node;
  for (const key of path) at = at?.kind === "map" ? at.entries.get(key)?.value : undefined;
  return at?.kind === "scalar" && typeof at.value === "string" ? at.value : "";
}
