/**
 * @module
 * A flow as a row, and back without a difference. Each field that the datapath fills has a column; what repeats (ends, policies) is JSON text, which
 * the file's dictionaries make small. A flow with anything else is kept whole in `rest`, as base64 of its bytes.
 */
import {
  create,
  fromBinary,
  fromJson,
  fromJsonString,
  type JsonValue,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import { base64Decode, base64Encode } from "@bufbuild/protobuf/wire";
import { flow } from "@skep/api";
import { timestampOf } from "../decode/flow.ts";
import { jsonLine } from "../json.ts";
import { enumName } from "../names/enums.ts";

export type Cell = string | number | bigint | boolean | null;
type SqlType = "BIGINT" | "UBIGINT" | "VARCHAR" | "UTINYINT" | "USMALLINT" | "INTEGER" | "UINTEGER" | "BOOLEAN";

interface Column {
  readonly name: string;
  readonly type: SqlType;
  readonly of: (message: flow.Flow) => Cell;
}

const endTexts = new WeakMap<object, string>();

/** Ends and lists of policies are shared by many flows: their text is made once. */
function shared<T extends object>(value: T | undefined, write: (value: T) => string): string | null {
  if (value === undefined) return null;
  let text = endTexts.get(value);
  if (text === undefined) endTexts.set(value, (text = write(value)));
  return text;
}

const endText = (endpoint: flow.Endpoint | undefined): string | null =>
  shared(endpoint, (value) => jsonLine(flow.EndpointSchema, value));

const policyText = (policies: flow.Policy[]): string | null =>
  policies.length === 0
    ? null
    : shared(policies, (list) => `[${list.map((each) => jsonLine(flow.PolicySchema, each)).join(",")}]`);

const listText = (texts: readonly string[]): string | null => (texts.length === 0 ? null : JSON.stringify(texts));

type Ports = Pick<flow.TCP, "sourcePort" | "destinationPort">;

function portsOf({ l4 }: flow.Flow): Ports | null {
  const protocol = l4?.protocol;
  return protocol?.case === "TCP" || protocol?.case === "UDP" ? protocol.value : null;
}

function icmpOf({ l4 }: flow.Flow): flow.ICMPv4 | flow.ICMPv6 | null {
  const protocol = l4?.protocol;
  return protocol?.case === "ICMPv4" || protocol?.case === "ICMPv6" ? protocol.value : null;
}

const FLAGS = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "NS"] as const;

function flagBits({ l4 }: flow.Flow): number | null {
  const protocol = l4?.protocol;
  if (protocol?.case !== "TCP" || !protocol.value.flags) return null;
  let bits = 0;
  for (let at = 0; at < FLAGS.length; at++) if (protocol.value.flags[FLAGS[at]!]) bits |= 1 << at;
  return bits;
}

const serviceText = (service: flow.Service | undefined): string | null =>
  service ? `${service.namespace}/${service.name}` : null;

/** Nothing is set but what has a column. */
function isPlain(message: flow.Flow): boolean {
  const { l4, l7, IP, authType, proxyPort, sockXlatePoint, socketCookie, cgroupId, debugCapturePoint } = message;
  const transport = l4?.protocol.case;
  return (
    !(l7 || message.traceContext || message.tunnel || message.file || message.ipTraceId || message.aggregate) &&
    !(message.extensions || message.emitter || message.$unknown?.length) &&
    (l4 === undefined || ["TCP", "UDP", "ICMPv4", "ICMPv6"].includes(transport ?? "")) &&
    (IP === undefined || (!IP.encrypted && IP.sourceXlated === "")) &&
    authType === 0 &&
    proxyPort === 0 &&
    sockXlatePoint === 0 &&
    socketCookie === 0n &&
    cgroupId === 0n &&
    debugCapturePoint === 0 &&
    message.policyLog.length === 0 &&
    message.nodeLabels.length === 0 &&
    message.Type === flow.FlowType.L3_L4 &&
    message.reply === (message.isReply === true) &&
    message.time !== undefined &&
    message.eventType !== undefined
  );
}

export const timeOf = ({ time }: Pick<flow.Flow, "time">): bigint =>
  time ? time.seconds * 1_000_000_000n + BigInt(time.nanos) : 0n;

const column = (name: string, type: SqlType, of: Column["of"]): Column => ({ name, type, of });

export const columns: readonly Column[] = [
  column("time", "BIGINT", timeOf),
  column("uuid", "VARCHAR", (m) => m.uuid),
  column("node_name", "VARCHAR", (m) => m.nodeName),
  column("verdict", "VARCHAR", (m) => enumName(flow.VerdictSchema, m.verdict) ?? String(m.verdict)),
  column("drop_reason", "UINTEGER", (m) => m.dropReason),
  column("drop_reason_desc", "VARCHAR", (m) =>
    m.dropReasonDesc === 0 ? null : (enumName(flow.DropReasonSchema, m.dropReasonDesc) ?? String(m.dropReasonDesc)),
  ),
  column(
    "direction",
    "VARCHAR",
    (m) => enumName(flow.TrafficDirectionSchema, m.trafficDirection) ?? String(m.trafficDirection),
  ),
  column("is_reply", "BOOLEAN", (m) => m.isReply ?? null),
  column("event_type", "INTEGER", (m) => m.eventType?.type ?? null),
  column("event_subtype", "INTEGER", (m) => m.eventType?.subType ?? null),
  column("protocol", "VARCHAR", (m) => m.l4?.protocol.case ?? null),
  column("source_ip", "VARCHAR", (m) => m.IP?.source ?? null),
  column("destination_ip", "VARCHAR", (m) => m.IP?.destination ?? null),
  column("ip_version", "UTINYINT", (m) => m.IP?.ipVersion ?? null),
  column("source_port", "USMALLINT", (m) => portsOf(m)?.sourcePort ?? null),
  column("destination_port", "USMALLINT", (m) => portsOf(m)?.destinationPort ?? null),
  column("tcp_flags", "USMALLINT", flagBits),
  column("icmp_type", "UINTEGER", (m) => icmpOf(m)?.type ?? null),
  column("icmp_code", "UINTEGER", (m) => icmpOf(m)?.code ?? null),
  column("source_identity", "UINTEGER", (m) => m.source?.identity ?? null),
  column("source_namespace", "VARCHAR", (m) => m.source?.namespace ?? null),
  column("source_pod", "VARCHAR", (m) => m.source?.podName ?? null),
  column("destination_identity", "UINTEGER", (m) => m.destination?.identity ?? null),
  column("destination_namespace", "VARCHAR", (m) => m.destination?.namespace ?? null),
  column("destination_pod", "VARCHAR", (m) => m.destination?.podName ?? null),
  column("source_names", "VARCHAR", (m) => listText(m.sourceNames)),
  column("destination_names", "VARCHAR", (m) => listText(m.destinationNames)),
  column("source_service", "VARCHAR", (m) => serviceText(m.sourceService)),
  column("destination_service", "VARCHAR", (m) => serviceText(m.destinationService)),
  column("policy_match_type", "UINTEGER", (m) => m.policyMatchType),
  column("trace_point", "INTEGER", (m) => m.traceObservationPoint),
  column("trace_reason", "INTEGER", (m) => m.traceReason),
  column("summary", "VARCHAR", (m) => m.Summary),
  column("source_mac", "VARCHAR", (m) => m.ethernet?.source ?? null),
  column("destination_mac", "VARCHAR", (m) => m.ethernet?.destination ?? null),
  column("interface_index", "UINTEGER", (m) => m.interface?.index ?? null),
  column("interface", "VARCHAR", (m) => m.interface?.name ?? null),
  column("source", "VARCHAR", (m) => endText(m.source)),
  column("destination", "VARCHAR", (m) => endText(m.destination)),
  column("egress_allowed_by", "VARCHAR", (m) => policyText(m.egressAllowedBy)),
  column("ingress_allowed_by", "VARCHAR", (m) => policyText(m.ingressAllowedBy)),
  column("egress_denied_by", "VARCHAR", (m) => policyText(m.egressDeniedBy)),
  column("ingress_denied_by", "VARCHAR", (m) => policyText(m.ingressDeniedBy)),
  column("rest", "VARCHAR", (m) => (isPlain(m) ? null : base64Encode(toBinary(flow.FlowSchema, m)))),
];

/** A row for what was lost has the time, the node and these. */
export const lossColumns = [
  { name: "lost", type: "UBIGINT" },
  { name: "lost_source", type: "INTEGER" },
] as const;

export type Row = Readonly<Record<string, Cell>>;

const text = (value: Cell | undefined): string => (typeof value === "string" ? value : "");
const number = (value: Cell | undefined): number => (value === null || value === undefined ? 0 : Number(value));

function enumValue(schema: Parameters<typeof enumName>[0], value: Cell | undefined): number {
  const name = text(value);
  return schema.values.find((each) => each.name === name)?.number ?? number(name === "" ? 0 : value);
}

function transport(row: Row): flow.Layer4 | undefined {
  const kind = text(row["protocol"]);
  if (kind === "") return undefined;
  const ports = { sourcePort: number(row["source_port"]), destinationPort: number(row["destination_port"]) };
  const icmp = { type: number(row["icmp_type"]), code: number(row["icmp_code"]) };
  const bits = row["tcp_flags"];
  const flags =
    bits === null || bits === undefined
      ? {}
      : { flags: Object.fromEntries(FLAGS.map((name, at) => [name, (number(bits) & (1 << at)) !== 0])) };
  switch (kind) {
    case "TCP":
      return create(flow.Layer4Schema, { protocol: { case: "TCP", value: { ...ports, ...flags } } });
    case "UDP":
      return create(flow.Layer4Schema, { protocol: { case: "UDP", value: ports } });
    case "ICMPv4":
      return create(flow.Layer4Schema, { protocol: { case: "ICMPv4", value: icmp } });
    default:
      return create(flow.Layer4Schema, { protocol: { case: "ICMPv6", value: icmp } });
  }
}

/** Ends and lists of policies repeat: flows share them, as those that were just seen do. */
const READ_TEXTS = 4096;

function remembered<T>(read: (json: string) => T): (json: string) => T {
  const known = new Map<string, T>();
  return (json) => {
    let value = known.get(json);
    if (value === undefined) {
      if (known.size >= READ_TEXTS) known.clear();
      known.set(json, (value = read(json)));
    }
    return value;
  };
}

const readEnd = remembered((json) => fromJsonString(flow.EndpointSchema, json));
const readPolicies = remembered((json) =>
  (JSON.parse(json) as JsonValue[]).map((each) => fromJson(flow.PolicySchema, each)),
);

const endOf = (value: Cell | undefined): flow.Endpoint | undefined =>
  value === null || value === undefined ? undefined : readEnd(text(value));

const policiesOf = (value: Cell | undefined): flow.Policy[] =>
  value === null || value === undefined ? [] : readPolicies(text(value));

function serviceOf(value: Cell | undefined): flow.Service | undefined {
  if (value === null || value === undefined) return undefined;
  const at = text(value).indexOf("/");
  return create(flow.ServiceSchema, { namespace: text(value).slice(0, at), name: text(value).slice(at + 1) });
}

const namesOf = (value: Cell | undefined): string[] =>
  value === null || value === undefined ? [] : (JSON.parse(text(value)) as string[]);

function optional(row: Row): Exclude<MessageInitShape<typeof flow.FlowSchema>, flow.Flow> {
  const has = (name: string): boolean => row[name] !== null && row[name] !== undefined;
  const [l4, source, destination] = [transport(row), endOf(row["source"]), endOf(row["destination"])];
  const [sourceService, destinationService] = [serviceOf(row["source_service"]), serviceOf(row["destination_service"])];
  return {
    ...(l4 && { l4 }),
    ...(source && { source }),
    ...(destination && { destination }),
    ...(sourceService && { sourceService }),
    ...(destinationService && { destinationService }),
    ...(has("is_reply") && { isReply: row["is_reply"] === true }),
    ...(has("source_mac") && {
      ethernet: create(flow.EthernetSchema, {
        source: text(row["source_mac"]),
        destination: text(row["destination_mac"]),
      }),
    }),
    ...(has("source_ip") && {
      IP: create(flow.IPSchema, {
        ...{ source: text(row["source_ip"]), destination: text(row["destination_ip"]) },
        ipVersion: number(row["ip_version"]) as flow.IPVersion,
      }),
    }),
    ...(has("interface_index") && {
      interface: create(flow.NetworkInterfaceSchema, {
        index: number(row["interface_index"]),
        name: text(row["interface"]),
      }),
    }),
  };
}

export function flowOfRow(row: Row): flow.Flow {
  if (row["rest"] !== null && row["rest"] !== undefined)
    return fromBinary(flow.FlowSchema, base64Decode(text(row["rest"])));
  return create(flow.FlowSchema, {
    ...optional(row),
    time: timestampOf(BigInt(row["time"] ?? 0)),
    uuid: text(row["uuid"]),
    nodeName: text(row["node_name"]),
    Type: flow.FlowType.L3_L4,
    verdict: enumValue(flow.VerdictSchema, row["verdict"]) as flow.Verdict,
    dropReason: number(row["drop_reason"]),
    dropReasonDesc: enumValue(flow.DropReasonSchema, row["drop_reason_desc"]) as flow.DropReason,
    trafficDirection: enumValue(flow.TrafficDirectionSchema, row["direction"]) as flow.TrafficDirection,
    reply: row["is_reply"] === true,
    eventType: { type: number(row["event_type"]), subType: number(row["event_subtype"]) },
    sourceNames: namesOf(row["source_names"]),
    destinationNames: namesOf(row["destination_names"]),
    policyMatchType: number(row["policy_match_type"]),
    traceObservationPoint: number(row["trace_point"]) as flow.TraceObservationPoint,
    traceReason: number(row["trace_reason"]) as flow.TraceReason,
    Summary: text(row["summary"]),
    egressAllowedBy: policiesOf(row["egress_allowed_by"]),
    ingressAllowedBy: policiesOf(row["ingress_allowed_by"]),
    egressDeniedBy: policiesOf(row["egress_denied_by"]),
    ingressDeniedBy: policiesOf(row["ingress_denied_by"]),
  });
}
