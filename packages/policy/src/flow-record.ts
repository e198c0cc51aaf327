/**
 * @module
 * Recorded flows, as `hubble observe -o json` writes them (and older versions without the `flow` around).
 */
import { ipProtocols, parsePort } from "@skep/net";
import type { Diagnostic } from "./diagnostic.ts";
import { parseLabels, type Labels } from "./labels.ts";
import type { L7Request } from "./l7-match.ts";

export interface FlowEnd {
  readonly labels: Labels;
  readonly namespace: string;
  readonly pod: string;
  /** Empty where it was not recorded. */
  readonly address: string;
  /** DNS names of the address. */
  readonly names: readonly string[];
  readonly identity: number;
}

export interface RecordedFlow {
  readonly source: FlowEnd;
  readonly destination: FlowEnd;
  readonly protocol: number;
  /** 0 for ICMP. */
  readonly sourcePort: number;
  /** Destination port; ICMP: the type. */
  readonly port: number;
  readonly request: L7Request | null;
  readonly verdict: string;
  /** It let the packet pass: FORWARDED, REDIRECTED, AUDIT, TRACED and the like. */
  readonly forwarded: boolean;
  /** Empty where it was not recorded. */
  readonly time: string;
  /** In the file, from 1. */
  readonly line: number;
}

export interface FlowFile {
  readonly flows: RecordedFlow[];
  /** Replies, events that are no flows, and what is neither TCP, UDP, SCTP nor ICMP. */
  readonly skipped: number;
  readonly diagnostics: Diagnostic[];
}

/** Reads one flow a line. Lines that are no flow are reported; replies and other events are counted. */
export function parseFlows(file: string, text: string): FlowFile {
  const result: FlowFile & { skipped: number } = { flows: [], skipped: 0, diagnostics: [] };
  for (const [i, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    const flow = readLine(line, i + 1);
    if (flow === null) result.skipped++;
    else if (typeof flow !== "string") result.flows.push(flow);
    else
      result.diagnostics.push({
        code: "SKEP6001",
        severity: "error",
        message: flow,
        span: { file, line: i + 1, column: 1, offset: 0, length: line.length },
      });
  }
  return result;
}

/** A text is what is wrong with the line; null: it is nothing to ask a policy about. */
function readLine(line: string, number: number): RecordedFlow | string | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    return `not JSON: ${error instanceof Error ? error.message : String(error)}`;
  }
  const event = record(value);
  const flow = "flow" in event ? record(event["flow"]) : event;
  // Such as a dropped ARP packet, or events that were lost.
  if (!("source" in flow) && !("destination" in flow)) return null;
  return readFlow(flow, number);
}

function readFlow(flow: Fields, line: number): RecordedFlow | null {
  const l4 = readL4(record(flow["l4"]));
  if (l4 === null || isReply(flow)) return null;
  const addresses = record(flow["IP"] ?? flow["ip"]);
  const verdict = text(flow["verdict"]);
  return {
    source: readEnd(record(flow["source"]), text(addresses["source"]), texts(flow["source_names"])),
    destination: readEnd(record(flow["destination"]), text(addresses["destination"]), texts(flow["destination_names"])),
    ...l4,
    request: readRequest(record(flow["l7"])),
    verdict,
    forwarded: verdict !== "DROPPED" && verdict !== "ERROR",
    time: text(flow["time"]),
    line,
  };
}

function isReply(flow: Fields): boolean {
  const isReply = flow["is_reply"] ?? flow["reply"];
  const type = text(record(flow["l7"])["type"]);
  return isReply === true || type === "RESPONSE";
}

const transports = ["TCP", "UDP", "SCTP"] as const;

function readL4(l4: Fields): Pick<RecordedFlow, "protocol" | "sourcePort" | "port"> | null {
  for (const name of transports) {
    const { source_port: source, destination_port: port } = record(l4[name]);
    if (!(name in l4) || typeof port !== "number") continue;
    return {
      protocol: ipProtocols[name.toLowerCase() as "tcp"],
      sourcePort: typeof source === "number" ? source : 0,
      port,
    };
  }
  for (const [name, protocol, error] of [
    ["ICMPv4", ipProtocols.icmp, 3],
    ["ICMPv6", ipProtocols.icmpv6, 1],
  ] as const) {
    const type = record(l4[name])["type"] ?? 0;
    // Errors are about another connection and pass with it.
    if (name in l4 && typeof type === "number" && type !== error) return { protocol, sourcePort: 0, port: type };
  }
  return null;
}

function readEnd(end: Fields, address: string, names: readonly string[]): FlowEnd {
  const identity = end["identity"];
  return {
    labels: parseLabels(texts(end["labels"])),
    namespace: text(end["namespace"]),
    pod: text(end["pod_name"]),
    address,
    names,
    identity: typeof identity === "number" ? identity : 0,
  };
}

function readRequest(l7: Fields): L7Request | null {
  const http = record(l7["http"]);
  if ("method" in http) {
    const url = /^(?:[a-z]+:\/\/([^/]*))?([^#]*)/i.exec(text(http["url"]));
    const host = (url?.[1] ?? "").replace(/:(\d+)$/, (whole, port: string) => (parsePort(port) === null ? whole : ""));
    const path = url?.[2] || "/";
    return { kind: "http", method: text(http["method"]), path, ...(host === "" ? {} : { host }) };
  }
  const query = text(record(l7["dns"])["query"]);
  if (query !== "") return { kind: "dns", name: query };
  const kafka = record(l7["kafka"]);
  if ("topic" in kafka || "api_key" in kafka)
    return { kind: "kafka", fields: { apiKey: text(kafka["api_key"]), topic: text(kafka["topic"]) } };
  return null;
}

type Fields = Readonly<Record<string, unknown>>;

function record(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === "string") : [];
}
