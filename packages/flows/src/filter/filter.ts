/**
 * @module
 * Hubble's flow filters. Fields of one filter must all match, any one value of a field is enough.
 */
import { flow } from "@skep/api";
import { compileCel } from "./cel/compile.ts";
import { FilterError } from "./error.ts";
import {
  compileFqdn,
  compileIp,
  compileNamespacedName,
  compileNodeName,
  compilePort,
  compileRegExp,
  compileStatus,
} from "./patterns.ts";
import { compileSelector } from "./selector.ts";

export type FlowMatch = (message: flow.Flow) => boolean;

/** Values of a field become one test: none given means that the field says nothing. */
function anyOf<V, T>(
  values: readonly V[],
  compile: (value: V) => (subject: T) => boolean,
): ((subject: T) => boolean) | null {
  if (values.length === 0) return null;
  const tests = values.map(compile);
  return (subject) => tests.some((test) => test(subject));
}

/** A test of what `pick` finds in a flow. */
function on<V, T>(
  values: readonly V[],
  pick: (message: flow.Flow) => T,
  compile: (value: V) => (subject: T) => boolean,
): FlowMatch | null {
  const test = anyOf(values, compile);
  return test && ((message) => test(pick(message)));
}

const equals =
  <T>(value: T) =>
  (other: T | undefined): boolean =>
    value === other;

type Names = (namespace: string, name: string) => boolean;

function onNames(
  values: readonly string[],
  pick: (message: flow.Flow) => { readonly namespace: string; readonly name: string } | undefined,
): FlowMatch | null {
  if (values.length === 0) return null;
  const tests: Names[] = values.map(compileNamespacedName);
  return (message) => {
    const found = pick(message);
    return found !== undefined && tests.some((test) => test(found.namespace, found.name));
  };
}

const podOf = (endpoint: flow.Endpoint | undefined): { namespace: string; name: string } | undefined =>
  endpoint && { namespace: endpoint.namespace, name: endpoint.podName };

function onWorkloads(
  values: readonly flow.Workload[],
  pick: (message: flow.Flow) => flow.Endpoint | undefined,
): FlowMatch | null {
  return on(values, pick, (wanted) => (endpoint) => {
    const same = (workload: flow.Workload): boolean =>
      (wanted.name === "" || wanted.name === workload.name) && (wanted.kind === "" || wanted.kind === workload.kind);
    return endpoint?.workloads.some(same) === true;
  });
}

type End = "source" | "destination";

function endFilters(filter: flow.FlowFilter, end: End): (FlowMatch | null)[] {
  const of = <K extends string>(name: K): `${End}${K}` => `${end}${name}`;
  const service = end === "source" ? "sourceService" : "destinationService";
  const names = end === "source" ? "sourceNames" : "destinationNames";
  return [
    on(filter[of("Ip")], (message) => message.IP?.[end] ?? "", compileIp),
    onNames(filter[of("Pod")], (message) => podOf(message[end])),
    on(
      filter[of("Fqdn")],
      (message) => message[names],
      (text) => {
        const test = compileFqdn(text);
        return (found) => found.some(test);
      },
    ),
    on(filter[of("Label")], (message) => message[end]?.labels ?? [], compileSelector),
    onNames(filter[of("Service")], (message) => message[service]),
    onWorkloads(filter[of("Workload")], (message) => message[end]),
    on(filter[of("ClusterName")], (message) => message[end]?.clusterName, equals),
    on(filter[of("Identity")], (message) => message[end]?.identity ?? 0, equals),
    on(filter[of("Port")], (message) => portOf(message, end), compilePort),
  ];
}

/** -1 where there is none: ICMP has no port. */
function portOf(message: flow.Flow, end: End): number {
  const l4 = message.l4?.protocol;
  if (l4?.case !== "TCP" && l4?.case !== "UDP" && l4?.case !== "SCTP") return -1;
  return end === "source" ? l4.value.sourcePort : l4.value.destinationPort;
}

const protocolNames: readonly string[] = [
  "tcp",
  "udp",
  "icmpv4",
  "icmpv6",
  "sctp",
  "vrrp",
  "igmp",
  "dns",
  "http",
  "kafka",
];

function compileProtocol(text: string): FlowMatch {
  const name = text.toLowerCase();
  if (name === "icmp") return (message) => /^ICMPv[46]$/.test(message.l4?.protocol.case ?? "");
  if (!protocolNames.includes(name)) {
    throw new FilterError(`"${text}" is not a protocol: one of icmp, ${protocolNames.join(", ")}`);
  }
  return (message) =>
    message.l4?.protocol.case?.toLowerCase() === name || message.l7?.record.case?.toLowerCase() === name;
}

function compileEventType(wanted: flow.EventTypeFilter): (found: flow.CiliumEventType | undefined) => boolean {
  return (found) =>
    found !== undefined &&
    (wanted.type === 0 || wanted.type === found.type) &&
    (!wanted.matchSubType || wanted.subType === found.subType);
}

const flagNames = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "NS"] as const;

function compileTcpFlags(wanted: flow.TCPFlags): (message: flow.Flow) => boolean {
  const set = flagNames.filter((name) => wanted[name]);
  return (message) => {
    const l4 = message.l4?.protocol;
    if (l4?.case !== "TCP") return false;
    const { flags } = l4.value;
    return flags !== undefined && set.every((name) => flags[name]);
  };
}

function compileInterface(wanted: flow.NetworkInterface): (found: flow.NetworkInterface | undefined) => boolean {
  return (found) =>
    found !== undefined &&
    (wanted.index === 0 || wanted.index === found.index) &&
    (wanted.name === "" || wanted.name === found.name);
}

function packetFilters(filter: flow.FlowFilter): (FlowMatch | null)[] {
  const whole = (message: flow.Flow): flow.Flow => message;
  return [
    on(filter.uuid, (message) => message.uuid, equals),
    on(filter.sourceIpXlated, (message) => message.IP?.sourceXlated ?? "", compileIp),
    on(filter.trafficDirection, (message) => message.trafficDirection, equals),
    on(filter.verdict, (message) => message.verdict, equals),
    on(filter.dropReasonDesc, (message) => message.dropReasonDesc, equals),
    on(filter.interface, (message) => message.interface, compileInterface),
    on(filter.eventType, (message) => message.eventType, compileEventType),
    on(filter.protocol, whole, compileProtocol),
    on(filter.reply, (message) => message.isReply, equals),
    on(filter.tcpFlags, whole, compileTcpFlags),
    on(filter.nodeName, (message) => message.nodeName, compileNodeName),
    on(filter.nodeLabels, (message) => message.nodeLabels, compileSelector),
    on(filter.ipVersion, (message) => message.IP?.ipVersion ?? flow.IPVersion.IP_NOT_USED, equals),
    on(filter.traceId, (message) => message.traceContext?.parent?.traceId, equals),
    on(filter.ipTraceId, (message) => message.ipTraceId?.traceId, equals),
    on(filter.encrypted, (message) => message.IP?.encrypted, equals),
  ];
}

const httpOf = (message: flow.Flow): flow.HTTP | undefined =>
  message.l7?.record.case === "http" ? message.l7.record.value : undefined;

/** The path of an absolute URL, or of one that begins with it. */
function pathOf(url: string): string {
  const rest = url.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, "");
  return rest.replace(/[?#].*$/, "");
}

function layer7Filters(filter: flow.FlowFilter): (FlowMatch | null)[] {
  const http = <V>(values: readonly V[], compile: (value: V) => (found: flow.HTTP) => boolean): FlowMatch | null =>
    on(values, httpOf, (value) => {
      const test = compile(value);
      return (found) => found !== undefined && test(found);
    });
  const text = (pick: (found: flow.HTTP) => string) => (expression: string) => {
    const test = compileRegExp(expression);
    return (found: flow.HTTP): boolean => test(pick(found));
  };
  return [
    http(filter.httpStatusCode, (value) => {
      const test = compileStatus(value);
      return (found) => test(found.code);
    }),
    http(filter.httpMethod, (value) => (found) => found.method.toUpperCase() === value.toUpperCase()),
    http(
      filter.httpPath,
      text((found) => pathOf(found.url)),
    ),
    http(
      filter.httpUrl,
      text((found) => found.url),
    ),
    http(
      filter.httpHeader,
      (wanted) => (found) => found.headers.some((header) => header.key === wanted.key && header.value === wanted.value),
    ),
    on(
      filter.dnsQuery,
      (message) => message.l7?.record,
      (value) => {
        const test = compileRegExp(value);
        return (record) => record?.case === "dns" && test(record.value.query);
      },
    ),
  ];
}

/** Throws FilterError. */
export function compileFilter(filter: flow.FlowFilter): FlowMatch {
  const tests = [
    ...packetFilters(filter),
    ...endFilters(filter, "source"),
    ...endFilters(filter, "destination"),
    ...layer7Filters(filter),
    on(filter.experimental?.celExpression ?? [], (message) => message, compileCel),
  ].filter((test) => test !== null);
  return (message) => tests.every((test) => test(message));
}

/** A flow must match one of `allow`, where there are any, and none of `deny`. Throws FilterError. */
export function compileFilters(allow: readonly flow.FlowFilter[], deny: readonly flow.FlowFilter[]): FlowMatch {
  const allowed = allow.map(compileFilter);
  const denied = deny.map(compileFilter);
  if (allowed.length === 0 && denied.length === 0) return () => true;
  return (message) =>
    (allowed.length === 0 || allowed.some((test) => test(message))) && !denied.some((test) => test(message));
}
