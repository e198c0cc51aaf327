/**
 * @module
 * The filter flags of `hubble observe`, and what each puts into a filter.
 */
import { type Command, InvalidArgumentError, Option } from "commander";
import type { FilterBuilder } from "./filters.ts";
import {
  directionValue,
  dropReasonValue,
  eventTypeFilter,
  header,
  identityValue,
  interfaceValue,
  ipVersionValue,
  tcpFlagsValue,
  verdictValue,
  workloadValue,
} from "./values.ts";

type Ends = "source" | "destination" | "either";
type Apply = (builder: FilterBuilder, value: string) => void;

interface Flag {
  readonly flags: string;
  readonly help: string;
  readonly apply: Apply;
}

/** `--x`, `--from-x` and `--to-x`. */
function threeEnds(name: string, argument: string, help: string, apply: (end: Ends) => Apply, short = ""): Flag[] {
  const flag = (prefix: string, end: Ends, where: string): Flag => ({
    flags: `${short !== "" && prefix === "" ? `-${short}, ` : ""}--${prefix}${name} <${argument}>`,
    help: `${where} ${help}`,
    apply: apply(end),
  });
  return [
    flag("", "either", "either end has"),
    flag("from-", "source", "the source has"),
    flag("to-", "destination", "the destination has"),
  ];
}

type EndNames = Parameters<FilterBuilder["end"]>[1];

const ofEnds =
  (names: { readonly source: string; readonly destination: string }, read: (value: string) => unknown = String) =>
  (end: Ends): Apply =>
  (builder, value) =>
    builder.end(end, names as EndNames, read(value) as never);

const ofPacket =
  (name: Parameters<FilterBuilder["field"]>[0], read: (value: string) => unknown = String): Apply =>
  (builder, value) => {
    for (const each of value.split(",")) builder.field(name, read(each) as never);
  };

const one =
  (name: Parameters<FilterBuilder["field"]>[0], read: (value: string) => unknown = String): Apply =>
  (builder, value) =>
    builder.field(name, read(value) as never);

const endFlags: readonly Flag[] = [
  ...threeEnds("pod", "name", "this pod: [namespace/]prefix", (end) => (builder, value) => builder.pod(end, value)),
  ...threeEnds("namespace", "name", "this namespace", (end) => (builder, value) => builder.namespace(end, value), "n"),
  ...threeEnds(
    "label",
    "selector",
    "these labels: app=web,tier in (a, b)",
    ofEnds({ source: "sourceLabel", destination: "destinationLabel" }),
    "l",
  ),
  ...threeEnds("ip", "address", "this address or prefix", ofEnds({ source: "sourceIp", destination: "destinationIp" })),
  ...threeEnds("port", "port", "this port or range", ofEnds({ source: "sourcePort", destination: "destinationPort" })),
  ...threeEnds(
    "identity",
    "identity",
    "this identity: a number or a reserved name",
    ofEnds({ source: "sourceIdentity", destination: "destinationIdentity" }, identityValue),
  ),
  ...threeEnds(
    "service",
    "name",
    "this service: [namespace/]prefix",
    ofEnds({ source: "sourceService", destination: "destinationService" }),
  ),
  ...threeEnds(
    "workload",
    "name",
    "this workload: [kind/]name",
    ofEnds({ source: "sourceWorkload", destination: "destinationWorkload" }, workloadValue),
  ),
  ...threeEnds("fqdn", "pattern", "this DNS name", ofEnds({ source: "sourceFqdn", destination: "destinationFqdn" })),
  ...threeEnds(
    "cluster",
    "name",
    "this cluster",
    ofEnds({ source: "sourceClusterName", destination: "destinationClusterName" }),
  ),
];

const packetFlags: readonly Flag[] = [
  {
    flags: "--verdict <verdict>",
    help: "FORWARDED, DROPPED, AUDIT, REDIRECTED, ERROR, TRACED, TRANSLATED",
    apply: ofPacket("verdict", verdictValue),
  },
  {
    flags: "-t, --type <type>",
    help: "event type: trace[:POINT], drop[:CODE], policy-verdict, capture, l7, trace-sock",
    apply: ofPacket("eventType", eventTypeFilter),
  },
  {
    flags: "--drop-reason-desc <reason>",
    help: "drop reason, as `skep drops list` names it",
    apply: ofPacket("dropReasonDesc", dropReasonValue),
  },
  { flags: "--protocol <protocol>", help: "tcp, udp, icmp, sctp, dns, http, ...", apply: ofPacket("protocol") },
  { flags: "--tcp-flags <flags>", help: "all of these: SYN,ACK", apply: one("tcpFlags", tcpFlagsValue) },
  {
    flags: "--traffic-direction <direction>",
    help: "ingress or egress",
    apply: ofPacket("trafficDirection", directionValue),
  },
  { flags: "--ip-version <version>", help: "v4, v6 or none", apply: ofPacket("ipVersion", ipVersionValue) },
  { flags: "--snat-ip <address>", help: "source address after masquerading", apply: one("sourceIpXlated") },
  { flags: "--interface <interface>", help: "name or index of the interface", apply: one("interface", interfaceValue) },
  { flags: "--uuid <uuid>", help: "this very flow", apply: one("uuid") },
  { flags: "--node-name <pattern>", help: "[cluster/]node, with *", apply: one("nodeName") },
  { flags: "--node-label <selector>", help: "labels of the node", apply: one("nodeLabels") },
  { flags: "--http-status <code>", help: "404, 40+ or 4+", apply: one("httpStatusCode") },
  { flags: "--http-method <method>", help: "GET, POST, ...", apply: one("httpMethod") },
  { flags: "--http-path <regex>", help: "path of the URL", apply: one("httpPath") },
  { flags: "--http-url <regex>", help: "the whole URL", apply: one("httpUrl") },
  { flags: "--http-header <key:value>", help: "a header of the request", apply: one("httpHeader", header) },
  { flags: "--trace-id <id>", help: "W3C trace id", apply: one("traceId") },
  { flags: "--ip-trace-id <id>", help: "trace id of the IP option", apply: one("ipTraceId", ipTraceId) },
];

const expressionFlag: Flag = {
  flags: "--cel-expression <expression>",
  help: "an expression over _flow: _flow.source.pod_name == 'xwing'",
  apply: (builder, value) => builder.expression(value),
};

function ipTraceId(text: string): bigint {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("not a number");
  return BigInt(text);
}

interface Switch {
  readonly flags: string;
  readonly help: string;
  readonly apply: (builder: FilterBuilder) => void;
}

const switches: readonly Switch[] = [
  { flags: "--not", help: "turn the filter that follows", apply: (builder) => builder.not() },
  {
    flags: "-A, --all-namespaces",
    help: "names of pods without a namespace are of any",
    apply: (builder) => builder.allNamespaces("either"),
  },
  {
    flags: "--from-all-namespaces",
    help: "those of the source",
    apply: (builder) => builder.allNamespaces("source"),
  },
  {
    flags: "--to-all-namespaces",
    help: "those of the destination",
    apply: (builder) => builder.allNamespaces("destination"),
  },
  { flags: "-4, --ipv4", help: "only IPv4", apply: (builder) => builder.field("ipVersion", ipVersionValue("v4")) },
  { flags: "-6, --ipv6", help: "only IPv6", apply: (builder) => builder.field("ipVersion", ipVersionValue("v6")) },
  { flags: "--encrypted", help: "only what came encrypted", apply: (builder) => builder.field("encrypted", true) },
  { flags: "--unencrypted", help: "only what came unencrypted", apply: (builder) => builder.field("encrypted", false) },
];

/** Adds every filter flag; what is given goes to the builder in its order. */
export function addFilterFlags(command: Command, builder: FilterBuilder): Command {
  command.optionsGroup("Filters (a flow must match all; values of one flag are alternatives):");
  for (const { flags, help, apply } of [...packetFlags, ...endFlags, expressionFlag]) {
    const option = new Option(flags, help);
    option.argParser((value: string) => {
      builder.given(option.name());
      apply(builder, value);
      return value;
    });
    command.addOption(option);
  }
  for (const { flags, help, apply } of switches) {
    const option = new Option(flags, help);
    command.addOption(option);
    command.on(`option:${option.name()}`, () => {
      if (option.name() !== "not") builder.given(option.name());
      apply(builder);
    });
  }
  for (const list of ["allow", "deny"] as const) {
    const option = new Option(`--${list}list <filter>`, `Hubble's filter in JSON; may be given several times`);
    command.addOption(option.argParser((value: string) => (builder.raw(list, value), value)));
  }
  return command;
}
