import { ipProtocols } from "@skep/net";
import type { L7Rules, PortMatch } from "../rule.ts";
import { toValue } from "../source/node.ts";
import type { Field, Fields, Reader } from "../source/reader.ts";
import { checkName, checkPattern } from "./names.ts";
import type { PortContext } from "./ports.ts";

export interface L7Context extends PortContext {
  readonly ports: readonly { readonly at: Field; readonly match: readonly PortMatch[] | null }[];
}

/** Kinds with a list of their own under `rules`; `l7proto` names any other. */
const kinds = ["http", "dns", "kafka", "cassandra", "memcached", "grpc"] as const;
type Kind = (typeof kinds)[number];

type Check = (reader: Reader, rule: Field) => void;
const checks: Readonly<Record<Kind, Check>> = {
  http: checkHttp,
  dns: (reader, rule) => checkDns(reader, rule, false),
  kafka: checkKafka,
  cassandra: (reader, rule) => checkTexts(reader, rule, ["query_action", "query_table"]),
  memcached: (reader, rule) => checkTexts(reader, rule, ["command", "opCode", "keyExact", "keyPrefix", "keyRegex"]),
  grpc: checkGrpc,
};

/** `rules` of a port rule. Null where there are none; lists without elements count as none. */
export function parseL7(reader: Reader, portRule: Fields, context: L7Context): L7Rules | null {
  const field = portRule.get("rules");
  const fields = field && reader.fields(field, [...kinds, "l7proto", "l7"]);
  if (!field || !fields) return null;
  const protocol = fields.string("l7proto");
  const given = kinds.filter((kind) => fields.has(kind));
  const all: string[] = protocol === null ? [...given] : [...given, protocol];
  if (all.length > 1) reader.report("SKEP6023", field, `rules of several kinds for one port: ${all.join(", ")}`);
  if (protocol === null && fields.has("l7")) reader.report("SKEP6004", field, "the field l7proto is missing");
  const [kind] = given;
  if (kind !== undefined) return parseKind(reader, { kind, field, fields }, context);
  if (protocol === null || protocol === "") return null;
  const items = fields.list("l7") ?? [];
  for (const item of items) checkFreeRule(reader, item);
  checkPlacement(reader, protocol, { ...context, field });
  return { kind: protocol, rules: items.map((item) => toValue(item.node) as Record<string, unknown>) };
}

function parseKind(
  reader: Reader,
  { kind, field, fields }: { kind: Kind; field: Field; fields: Fields },
  context: L7Context,
): L7Rules | null {
  const items = fields.list(kind) ?? [];
  if (items.length === 0) return null;
  for (const item of items) checks[kind](reader, item);
  checkPlacement(reader, kind, { ...context, field });
  return { kind, rules: items.map((item) => toValue(item.node) as Record<string, unknown>) };
}

/** On which ports, protocols and directions the kind may stand. */
function checkPlacement(reader: Reader, kind: string, context: L7Context & { readonly field: Field }): void {
  const { field, ingress, node, ports } = context;
  const isDns = kind === "dns";
  if (ingress && (isDns || node))
    reader.report("SKEP6026", field, `rules of ${kind} are not possible on ingress${node ? " of a host" : ""}`);
  if (!ingress && node && !isDns)
    reader.report("SKEP6026", field, `rules of ${kind} are not possible on a host's egress`);
  if (isDns && ports.length === 0) reader.report("SKEP6024", field, "DNS rules need a port: 53");
  for (const { at, match } of ports) {
    for (const { protocol, port, last } of match ?? []) {
      if (port === 0) reader.report("SKEP6024", at, "L7 rules need a port, not 0");
      else if (isDns && typeof port === "number" && last > port)
        reader.report("SKEP6024", at, "DNS rules take no range of ports");
      if (!isDns && (protocol !== ipProtocols.tcp || (match ?? []).length > 1))
        reader.report("SKEP6025", at, "L7 rules other than DNS apply to TCP", "write protocol: TCP");
      if (port === 0 || (match ?? []).length > 1) break;
    }
  }
}

function checkHttp(reader: Reader, field: Field): void {
  const fields = reader.fields(field, ["path", "method", "host", "headers", "headerMatches"]);
  if (fields === null) return;
  for (const name of ["path", "method", "host"]) {
    const at = fields.get(name);
    const text = at && reader.string(at);
    if (at && text) checkRegExp(reader, at, text);
  }
  fields.strings("headers");
  for (const item of fields.list("headerMatches") ?? []) checkHeaderMatch(reader, item);
}

function checkHeaderMatch(reader: Reader, field: Field): void {
  const fields = reader.fields(field, ["mismatch", "name", "secret", "value"]);
  if (fields === null) return;
  if (!fields.string("name")) reader.report("SKEP6036", field, "the name of the header is missing");
  const mismatch = fields.get("mismatch");
  if (mismatch) reader.oneOf(mismatch, ["", "LOG", "ADD", "DELETE", "REPLACE"], "SKEP6036");
  const secretField = fields.get("secret");
  const secret = secretField && reader.fields(secretField, ["namespace", "name"]);
  if (secretField && secret && !secret.string("name"))
    reader.report("SKEP6036", secretField, "the name of the secret is missing");
  fields.string("value");
}

/** Go's syntax is nearly JavaScript's: inline flags at the start are taken off. */
function checkRegExp(reader: Reader, field: Field, text: string): void {
  try {
    void new RegExp(text.replace(/^\(\?[imsU]+\)/, ""));
  } catch (error) {
    const reason =
      error instanceof Error ? error.message.replace(/^Invalid regular expression: (?:\/.*\/\w*: )?/, "") : "";
    reader.report("SKEP6027", field, `not a regular expression: ${reason}`);
  }
}

/** A name or a pattern of names; `exclusive`: not both. */
export function checkDns(reader: Reader, field: Field, exclusive: boolean): { name: string; pattern: string } | null {
  const fields = reader.fields(field, ["matchName", "matchPattern"]);
  if (fields === null) return null;
  const name = fields.string("matchName") ?? "";
  const pattern = fields.string("matchPattern") ?? "";
  if (exclusive && name !== "" && pattern !== "")
    reader.report("SKEP6028", field, "either matchName or matchPattern, not both");
  if (name === "" && pattern === "") reader.report("SKEP6004", field, "matchName or matchPattern is missing");
  const nameField = fields.get("matchName");
  const patternField = fields.get("matchPattern");
  if (nameField && name !== "") checkName(reader, nameField, name);
  if (patternField && pattern !== "") checkPattern(reader, patternField, pattern);
  return { name, pattern };
}

function checkKafka(reader: Reader, field: Field): void {
  const fields = reader.fields(field, ["role", "apiKey", "apiVersion", "clientID", "topic"]);
  if (fields === null) return;
  const role = fields.get("role");
  if (role) reader.oneOf(role, ["produce", "consume"]);
  for (const name of ["apiKey", "apiVersion", "clientID", "topic"]) fields.string(name);
  if (role && fields.has("apiKey")) reader.report("SKEP6037", field, "either role or apiKey, not both");
  const topic = fields.get("topic");
  const text = topic && reader.string(topic);
  if (topic && text && (text.length > 255 || !/^[a-zA-Z0-9._-]+$/.test(text)))
    reader.report("SKEP6006", topic, `${JSON.stringify(text)} is no name of a topic`);
}

function checkGrpc(reader: Reader, field: Field): void {
  const fields = reader.fields(field, ["service", "method", "headers"]);
  fields?.string("service");
  fields?.string("method");
  fields?.strings("headers");
}

function checkTexts(reader: Reader, field: Field, names: readonly string[]): void {
  const fields = reader.fields(field, names);
  for (const name of names) fields?.string(name);
}

function checkFreeRule(reader: Reader, field: Field): void {
  const node = reader.map(field);
  for (const [key, entry] of node?.entries ?? []) reader.string({ node: entry.value, path: `${field.path}.${key}` });
}
