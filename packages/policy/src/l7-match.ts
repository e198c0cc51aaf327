/**
 * @module
 * Whether a request is what an L7 rule allows. Pure: the proxies and the tests of policies ask the same.
 */
import type { L7Rules } from "./rule.ts";

export interface HttpRequest {
  readonly kind: "http";
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly host?: string;
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface DnsRequest {
  readonly kind: "dns";
  readonly name: string;
}

/** Kafka, gRPC, Cassandra, memcached and others: fields of one request, named as in their rules. */
export interface FieldRequest {
  readonly kind: string;
  readonly fields: Readonly<Record<string, string>>;
}

export type L7Request = HttpRequest | DnsRequest | FieldRequest;

/** Whether one of the rules allows the request; rules of another kind allow nothing. */
export function allowsRequest({ kind, rules }: L7Rules, request: L7Request): boolean {
  return kind === request.kind && rules.some((rule) => matchesRequest(rule, request));
}

export function matchesRequest(rule: L7Rules["rules"][number], request: L7Request): boolean {
  if (isHttp(request)) return matchesHttp(rule, request);
  if (isDns(request)) return matchesDns(rule, request.name);
  return matchesFields(rule, request as FieldRequest);
}

function isHttp(request: L7Request): request is HttpRequest {
  return request.kind === "http" && "path" in request;
}

function isDns(request: L7Request): request is DnsRequest {
  return request.kind === "dns" && "name" in request;
}

function text(rule: Readonly<Record<string, unknown>>, name: string): string {
  const value = rule[name];
  return typeof value === "string" ? value : "";
}

/** Path, method and host are regular expressions over the whole; what is absent is not looked at. */
function matchesHttp(rule: Readonly<Record<string, unknown>>, request: HttpRequest): boolean {
  const { method, path, host = "" } = request;
  const parts = [
    ["method", method],
    ["path", path],
    ["host", host],
  ] as const;
  if (!parts.every(([name, value]) => matchesWhole(text(rule, name), value))) return false;
  const headers = Array.isArray(rule["headers"]) ? (rule["headers"] as string[]) : [];
  if (!headers.every((header) => hasHeader(request, header))) return false;
  const matches = Array.isArray(rule["headerMatches"]) ? (rule["headerMatches"] as Record<string, unknown>[]) : [];
  // A mismatch that the rule mends or logs does not keep the request out.
  return matches.every((match) => text(match, "mismatch") !== "" || matchesHeader(request, match));
}

function matchesWhole(pattern: string, value: string): boolean {
  if (pattern === "") return true;
  const flags = /^\(\?([imsU]+)\)/.exec(pattern);
  const insensitive = flags?.[1]?.includes("i") ? "i" : "";
  return new RegExp(`^(?:${pattern.slice(flags?.[0].length ?? 0)})$`, insensitive).test(value);
}

/** `X-Token: a`, or a name alone. */
function hasHeader({ headers }: HttpRequest, header: string): boolean {
  const [name = "", ...rest] = header.split(/[:\s]+/);
  const value = headers?.[name.toLowerCase()];
  return value !== undefined && (rest.length === 0 || rest.join(" ") === value);
}

function matchesHeader({ headers }: HttpRequest, match: Readonly<Record<string, unknown>>): boolean {
  const value = headers?.[text(match, "name").toLowerCase()];
  return value !== undefined && (text(match, "value") === "" || text(match, "value") === value);
}

export function matchesDns(rule: Readonly<Record<string, unknown>>, name: string): boolean {
  const exact = text(rule, "matchName");
  if (exact !== "" && fullName(exact) === fullName(name)) return true;
  const pattern = text(rule, "matchPattern");
  return pattern !== "" && patternRegExp(pattern).test(fullName(name));
}

function fullName(name: string): string {
  const lower = name.trim().toLowerCase();
  return lower.endsWith(".") ? lower : `${lower}.`;
}

/**
 * `*` is any number of characters of one label, alone it is every name; `**.` in front is one or more labels.
 * Cilium: pkg/fqdn/matchpattern.
 */
export function patternRegExp(pattern: string): RegExp {
  const trimmed = pattern.trim().toLowerCase();
  if (/^\*+$/.test(trimmed)) return /^(?:(?:[-a-z0-9_]+\.)+|\.)$/;
  const body = fullName(trimmed)
    .replace(/^\*{2,}\./, "\u0000")
    .replaceAll(".", "[.]")
    .replace(/\*+/g, "[-a-z0-9_]*")
    .replace("\u0000", "(?:[-a-z0-9_]+[.])+");
  return new RegExp(`^${body}$`);
}

const kafkaRoles: Readonly<Record<string, readonly string[]>> = {
  produce: ["produce", "metadata", "apiversions"],
  consume: [
    ...["fetch", "offsets", "metadata", "offsetcommit", "offsetfetch", "findcoordinator", "joingroup"],
    ...["heartbeat", "leavegroup", "syncgroup", "apiversions"],
  ],
};
/** Requests of Kafka that name no topic. */
const withoutTopic = new Set(["apiversions", "findcoordinator", "joingroup", "heartbeat", "leavegroup", "syncgroup"]);

/** Every field of the rule equals that of the request, but for the fields that have a meaning of their own. */
function matchesFields(rule: Readonly<Record<string, unknown>>, { kind, fields }: FieldRequest): boolean {
  return Object.entries(rule).every(([name, wanted]) => {
    if (typeof wanted !== "string" || wanted === "") return true;
    const apiKey = (fields["apiKey"] ?? "").toLowerCase();
    if (kind === "kafka" && name === "role") return kafkaRoles[wanted]?.includes(apiKey) ?? false;
    if (kind === "kafka" && name === "apiKey") return wanted.toLowerCase() === apiKey;
    if (kind === "kafka" && name === "topic") return withoutTopic.has(apiKey) || fields["topic"] === wanted;
    if (name === "keyPrefix") return fields["key"]?.startsWith(wanted) ?? false;
    if (name === "keyExact") return fields["key"] === wanted;
    if (name === "keyRegex") return matchesWhole(wanted, fields["key"] ?? "");
    if (name === "query_table") return matchesWhole(wanted, fields["query_table"] ?? "");
    return fields[name] === wanted;
  });
}

/** `GET /path host`, `dns name`, `kafka apiKey=produce topic=t`. Null if it is none of these. */
export function parseRequest(kind: string, value: string): L7Request | null {
  if (kind === "http") {
    const match = /^(\S+)\s+(\S+)(?:\s+(\S+))?$/.exec(value.trim());
    const [, method, path, host] = match ?? [];
    if (method === undefined || path === undefined) return null;
    return { kind: "http", method, path, ...(host === undefined ? {} : { host }) };
  }
  if (kind === "dns") return value.trim() === "" ? null : { kind: "dns", name: value.trim() };
  const pairs = value
    .trim()
    .split(/\s+/)
    .map((pair) => pair.split("="));
  if (pairs.some((pair) => pair.length !== 2)) return null;
  return { kind, fields: Object.fromEntries(pairs.map(([name = "", text = ""]) => [name, text])) };
}

export function formatRequest(request: L7Request): string {
  if (isHttp(request)) return `${request.method} ${request.path}${request.host ? ` at ${request.host}` : ""}`;
  if (isDns(request)) return `DNS name ${request.name}`;
  const { kind, fields } = request as FieldRequest;
  return `${kind} ${Object.entries(fields)
    .map(([name, value]) => `${name}=${value}`)
    .join(" ")}`;
}
