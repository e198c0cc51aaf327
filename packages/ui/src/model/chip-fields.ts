/**
 * @module
 * Every filter of Hubble's that a chip can hold, by the name of the flag of `hubble observe`.
 */
import { create, type DescEnum } from "@bufbuild/protobuf";
import { flow } from "@skep/api";

/** The value is none of the field's. */
export class ChipError extends Error {
  override readonly name = "ChipError";
}

/** Lists of a FlowFilter that is being made. */
export type FilterLists = Record<string, unknown>;

interface Ends {
  readonly source: FilterLists;
  readonly destination: FilterLists;
}

export interface ChipField {
  readonly name: string;
  readonly help: string;
  /** Values to choose from; empty: free text. */
  readonly values: readonly string[];
  /** Such a value, where there is nothing to choose from. */
  readonly example: string;
  readonly apply: (ends: Ends, value: string) => void;
}

function append(lists: FilterLists, name: string, value: unknown): void {
  lists[name] = [...((lists[name] ?? []) as unknown[]), value];
}

type Read = (text: string) => unknown;

interface About {
  readonly help: string;
  readonly values?: readonly string[];
  readonly example?: string;
  readonly read?: Read;
}

/** A field of the packet. */
function packet(name: string, list: string, about: About): ChipField {
  const { help, values = [], example = "", read = String } = about;
  const apply: ChipField["apply"] = ({ source, destination }, text) => {
    const value = read(text);
    for (const lists of [source, destination]) append(lists, list, value);
  };
  return { name, help, values, example, apply };
}

/** `x`, `from-x` and `to-x`. */
function ends(name: string, list: string, about: About): ChipField[] {
  const { help, values = [], example = "", read = String } = about;
  const [from, to] = [`source${list}`, `destination${list}`];
  const shared = { values, example };
  return [
    {
      ...{ ...shared, name, help: `either end has ${help}` },
      apply: ({ source, destination }, text) => {
        append(source, from, read(text));
        append(destination, to, read(text));
      },
    },
    ...([from, to] as const).map((own, i): ChipField => ({
      ...{ ...shared, name: `${i === 0 ? "from" : "to"}-${name}` },
      help: `the ${i === 0 ? "source" : "destination"} has ${help}`,
      apply: ({ source, destination }, text) => {
        for (const lists of [source, destination]) append(lists, own, read(text));
      },
    })),
  ];
}

function enumReader(desc: DescEnum): Read {
  return (text) => {
    const wanted = text.trim().toUpperCase().replace(/[ -]/g, "_");
    const found = desc.values.find((value) => value.name.toUpperCase() === wanted);
    if (!found) throw new ChipError(`“${text}” is none of ${enumNames(desc).slice(0, 8).join(", ")} …`);
    return found.number;
  };
}

function enumNames(desc: DescEnum): string[] {
  return desc.values.filter(({ number }) => number !== 0).map(({ name }) => name);
}

const dropReason: Read = (text) => (/^\d+$/.test(text) ? Number(text) : enumReader(flow.DropReasonSchema)(text));

/** Numbers of cilium/pkg/monitor/api. */
const eventTypes: Readonly<Record<string, number>> = {
  ...{ drop: 1, debug: 2, capture: 3, trace: 4, "policy-verdict": 5, "trace-sock": 7, l7: 129, agent: 130 },
};

const eventType: Read = (text) => {
  const [name = "", sub] = text.split(":", 2);
  const type = /^\d+$/.test(name) ? Number(name) : eventTypes[name];
  if (type === undefined) throw new ChipError(`“${name}” is none of ${Object.keys(eventTypes).join(", ")}`);
  if (sub === undefined) return create(flow.EventTypeFilterSchema, { type });
  if (!/^\d+$/.test(sub)) throw new ChipError(`“${sub}” is no number`);
  return create(flow.EventTypeFilterSchema, { type, matchSubType: true, subType: Number(sub) });
};

const reserved = {
  ...{ host: 1, world: 2, unmanaged: 3, health: 4, init: 5, "remote-node": 6, "kube-apiserver": 7, ingress: 8 },
  ...{ "world-ipv4": 9, "world-ipv6": 10 },
} as const;

const identity: Read = (text) => {
  if (/^\d+$/.test(text)) return Number(text);
  const found = Object.entries(reserved).find(([name]) => name === text.replace(/^reserved:/, ""));
  if (!found) throw new ChipError(`“${text}” is no identity: a number, or a name such as world`);
  return found[1];
};

const workload: Read = (text) => {
  const [kind, name] = text.includes("/") ? text.split("/", 2) : ["", text];
  return create(flow.WorkloadSchema, { kind: kind ?? "", name: name ?? "" });
};

const flagNames = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "NS"];

const tcpFlags: Read = (text) => {
  const names = text
    .toUpperCase()
    .split(",")
    .map((name) => name.trim());
  const odd = names.find((name) => !flagNames.includes(name));
  if (odd !== undefined) throw new ChipError(`“${odd}” is none of ${flagNames.join(", ")}`);
  return create(flow.TCPFlagsSchema, Object.fromEntries(names.map((name) => [name, true])));
};

const port: Read = (text) => {
  const found = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  if (!found || [found[1], found[2] ?? "0"].some((each) => Number(each) > 65_535)) {
    throw new ChipError(`“${text}” is no port`);
  }
  return text;
};

const address: Read = (text) => {
  if (!/^[0-9a-f.:]+(\/\d{1,3})?$/i.test(text)) throw new ChipError(`“${text}” is no address or prefix`);
  return text;
};

const yesNo: Read = (text) => {
  if (!["true", "false", "yes", "no"].includes(text)) throw new ChipError(`“${text}” is neither yes nor no`);
  return text === "true" || text === "yes";
};

const ipVersion: Read = (text) => {
  const found = { v4: flow.IPVersion.IPv4, v6: flow.IPVersion.IPv6, none: flow.IPVersion.IP_NOT_USED }[
    text.toLowerCase().replace(/^ip/, "")
  ];
  if (found === undefined) throw new ChipError(`“${text}” is none of v4, v6, none`);
  return found;
};

const header: Read = (text) => {
  const colon = text.indexOf(":");
  if (colon < 1) throw new ChipError("a header is written KEY:VALUE");
  return create(flow.HTTPHeaderSchema, { key: text.slice(0, colon), value: text.slice(colon + 1).trim() });
};

const expression: Read = (text) => {
  try {
    void new RegExp(text);
  } catch {
    throw new ChipError(`“${text}” is no regular expression`);
  }
  return text;
};

const wholeNumber: Read = (text) => {
  if (!/^\d+$/.test(text)) throw new ChipError(`“${text}” is no number`);
  return BigInt(text);
};

const networkInterface: Read = (text) =>
  create(flow.NetworkInterfaceSchema, /^\d+$/.test(text) ? { index: Number(text) } : { name: text });

/** Names of pods: `default/web`, a bare namespace as `default/`. */
const namespace: Read = (text) => `${text.replace(/\/$/, "")}/`;

const anyPod: Read = (text) => (text.includes("/") ? text : `/${text}`);

const cel: ChipField = {
  name: "cel",
  help: "an expression over _flow",
  values: [],
  example: "_flow.source.pod_name == 'web'",
  apply: ({ source, destination }, text) => {
    for (const lists of [source, destination]) {
      const before = (lists["experimental"] as { celExpression: string[] } | undefined)?.celExpression ?? [];
      lists["experimental"] = { celExpression: [...before, text] };
    }
  },
};

export const chipFields: readonly ChipField[] = [
  packet("verdict", "verdict", {
    help: "what became of the packet",
    values: enumNames(flow.VerdictSchema),
    read: enumReader(flow.VerdictSchema),
  }),
  ...ends("pod", "Pod", { help: "this pod: [namespace/]prefix", example: "default/web", read: anyPod }),
  ...ends("namespace", "Pod", { help: "this namespace", example: "default", read: namespace }),
  ...ends("label", "Label", { help: "these labels", example: "app=web,tier in (a, b)" }),
  ...ends("ip", "Ip", { help: "this address or prefix", example: "10.0.0.0/8", read: address }),
  ...ends("port", "Port", { help: "this port or range", example: "80", read: port }),
  ...ends("identity", "Identity", {
    help: "this identity",
    values: Object.keys(reserved),
    example: "world",
    read: identity,
  }),
  ...ends("service", "Service", { help: "this service: [namespace/]prefix", example: "default/web" }),
  ...ends("workload", "Workload", { help: "this workload: [kind/]name", example: "Deployment/web", read: workload }),
  ...ends("fqdn", "Fqdn", { help: "this DNS name, with *", example: "*.example.com" }),
  ...ends("cluster", "ClusterName", { help: "this cluster", example: "default" }),
  packet("protocol", "protocol", {
    help: "what is spoken",
    values: ["tcp", "udp", "icmp", "icmpv4", "icmpv6", "sctp", "dns", "http", "kafka", "vrrp", "igmp"],
  }),
  packet("drop-reason", "dropReasonDesc", {
    help: "why it was dropped",
    values: enumNames(flow.DropReasonSchema),
    read: dropReason,
  }),
  packet("type", "eventType", {
    help: "the datapath's event: trace, drop:133 ...",
    values: Object.keys(eventTypes),
    read: eventType,
  }),
  packet("direction", "trafficDirection", {
    help: "as the endpoint sees it",
    values: enumNames(flow.TrafficDirectionSchema),
    read: enumReader(flow.TrafficDirectionSchema),
  }),
  packet("reply", "reply", { help: "answers, or what opens", values: ["yes", "no"], read: yesNo }),
  packet("tcp-flags", "tcpFlags", {
    help: "all of these flags",
    values: ["SYN", "SYN,ACK", "FIN", "RST"],
    read: tcpFlags,
  }),
  packet("ip-version", "ipVersion", { help: "version of IP", values: ["v4", "v6", "none"], read: ipVersion }),
  packet("snat-ip", "sourceIpXlated", {
    help: "source address after masquerading",
    example: "192.0.2.1",
    read: address,
  }),
  packet("encrypted", "encrypted", { help: "whether it came encrypted", values: ["yes", "no"], read: yesNo }),
  packet("interface", "interface", { help: "name or index", example: "eth0", read: networkInterface }),
  packet("node", "nodeName", { help: "[cluster/]node, with *", example: "default/node-*" }),
  packet("node-label", "nodeLabels", { help: "labels of the node", example: "zone=a" }),
  packet("http-status", "httpStatusCode", { help: "404, 40+ or 4+", example: "5+" }),
  packet("http-method", "httpMethod", {
    help: "method of the request",
    values: ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"],
  }),
  packet("http-path", "httpPath", { help: "path of the URL", example: "/v1/.*", read: expression }),
  packet("http-url", "httpUrl", { help: "the whole URL", example: "http://web/.*", read: expression }),
  packet("http-header", "httpHeader", { help: "a header of the request", example: "x-id:7", read: header }),
  packet("dns-query", "dnsQuery", { help: "name that was asked for", example: ".*\\.example\\.com", read: expression }),
  packet("trace-id", "traceId", { help: "W3C trace id", example: "4bf92f35…" }),
  packet("ip-trace-id", "ipTraceId", { help: "trace id of the IP option", example: "7", read: wholeNumber }),
  packet("uuid", "uuid", { help: "this very flow", example: "0c6f1a2b-…" }),
  cel,
];

const byName = new Map(chipFields.map((field) => [field.name, field]));

export function chipField(name: string): ChipField | null {
  return byName.get(name) ?? null;
}
