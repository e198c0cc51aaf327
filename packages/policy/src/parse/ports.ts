import { ipProtocols } from "@skep/net";
import type { Authentication, Listener, PortMatch, PortRule, TlsContext } from "../rule.ts";
import type { Field, Fields, Misplaced, Reader } from "../source/reader.ts";
import { parseIcmps } from "./icmp.ts";
import { parseL7 } from "./l7.ts";
import type { ParseSettings } from "./options.ts";

const MAX_PORTS = 40;
const TRANSPORTS = ["TCP", "UDP", "SCTP"] as const;
const EXTENDED = ["VRRP", "IGMP", "GRE", "IPIP", "IPV6", "ESP", "AH"] as const;
const PROTOCOLS = [...TRANSPORTS, "ANY", ...EXTENDED] as const;
type ProtocolName = (typeof PROTOCOLS)[number];

/** RFC 6335 section 5.1: at most 15 letters, digits and single dashes, with a letter among them. */
export function isServiceName(text: string): boolean {
  return text.length <= 15 && /^(?:[a-z0-9]-?)*[a-z](?:-?[a-z0-9])*$/i.test(text);
}

export interface PortContext {
  readonly settings: ParseSettings;
  readonly ingress: boolean;
  readonly deny: boolean;
  /** The policy is about the host. */
  readonly node: boolean;
  /** Of the policy; empty where it has none. */
  readonly namespace: string;
}

/** toPorts and icmps of a rule. Null where neither is given: all ports. */
export function parsePorts(reader: Reader, rule: Fields, context: PortContext): PortRule[] | null {
  const toPorts = rule.list("toPorts");
  const icmps = rule.list("icmps");
  if (icmps !== null && icmps.length > 0 && toPorts !== null && toPorts.length > 0)
    reader.report("SKEP6021", rule.at, "toPorts and icmps in one rule", "write a rule of its own for icmps");
  const rules = (toPorts ?? []).map((field) => parsePortRule(reader, field, context));
  for (const field of icmps ?? []) rules.push(parseIcmps(reader, field));
  // An empty list counts as absent, as in the Go structures that Cilium reads it into.
  return rules.length > 0 ? rules.filter((rule) => rule !== null) : null;
}

const allowFields = ["ports", "rules", "serverNames", "terminatingTLS", "originatingTLS", "listener"];

const underPorts = { code: "SKEP6003", message: "unknown field", hint: "it belongs into an element of ports" } as const;
const inPortRule: Misplaced = { port: underPorts, endPort: underPorts, protocol: underPorts };
const rulesInDeny = {
  code: "SKEP6037",
  message: "what is denied is not looked into",
  hint: "deny the port as a whole",
} as const;
const inDeny: Misplaced = {
  ...inPortRule,
  ...Object.fromEntries(allowFields.slice(1).map((name) => [name, rulesInDeny])),
};

function parsePortRule(reader: Reader, field: Field, context: PortContext): PortRule | null {
  const fields = reader.fields(field, context.deny ? ["ports"] : allowFields, context.deny ? inDeny : inPortRule);
  if (fields === null) return null;
  const portFields = fields.list("ports") ?? [];
  if (portFields.length > MAX_PORTS)
    reader.report("SKEP6020", field, `${portFields.length} ports; at most ${MAX_PORTS}`);
  const ports = portFields.map((port) => ({ at: port, match: parsePort(reader, port, context) }));
  const l7 = parseL7(reader, fields, { ...context, ports });
  const serverNames = parseServerNames(reader, fields);
  const terminatingTls = parseTls(reader, fields.get("terminatingTLS"), context);
  const originatingTls = parseTls(reader, fields.get("originatingTLS"), context);
  const listener = parseListener(reader, fields.get("listener"));
  if (serverNames.length > 0 && l7 !== null && terminatingTls === null)
    reader.report("SKEP6029", field, "serverNames with rules need terminatingTLS");
  const listenerField = fields.get("listener");
  if (listenerField && context.ingress)
    reader.report("SKEP6030", listenerField, "a listener is not possible on ingress");
  if (listenerField && l7 !== null)
    reader.report("SKEP6030", listenerField, "a listener cannot be combined with rules");
  const matches = ports.flatMap(({ match }) => match ?? []);
  return { ports: matches, l7, serverNames, terminatingTls, originatingTls, listener, span: field.node.span };
}

/** One port as the matches that it stands for: ANY is TCP, UDP and SCTP. */
function parsePort(reader: Reader, field: Field, { settings }: PortContext): readonly PortMatch[] | null {
  const fields = reader.fields(field, ["port", "endPort", "protocol"]);
  if (fields === null) return null;
  const protocol = parseProtocol(reader, fields);
  const portField = fields.get("port");
  const endField = fields.get("endPort");
  const last = endField && reader.integer(endField, 0, 65535);
  const text = portField === null ? "" : reader.string(portField);
  if (protocol === null || text === null) return null;
  const isExtended = (EXTENDED as readonly string[]).includes(protocol);
  if (text === "" && !(isExtended && settings.extendedProtocols)) {
    reader.report("SKEP6017", field, "the port is missing", 'port: "0" is every port of the protocol');
    return null;
  }
  if (isExtended && text !== "" && text !== "0")
    reader.report("SKEP6017", portField ?? field, `${protocol} has no ports`, "leave the port out");
  return portMatches({ reader, field: portField ?? field, text, protocol, last: last ?? 0 });
}

interface PortText {
  readonly reader: Reader;
  readonly field: Field;
  readonly text: string;
  readonly protocol: ProtocolName;
  /** 0: no range. */
  readonly last: number;
}

function portMatches({ reader, field, text, protocol, last }: PortText): readonly PortMatch[] | null {
  const numbers = (protocol === "ANY" ? TRANSPORTS : [protocol]).map(protocolNumber);
  if (isServiceName(text)) {
    if (last > 0) reader.report("SKEP6018", field, "a range starts with a number, not with a name");
    return numbers.map((number) => ({ protocol: number, port: text.toLowerCase(), last: 0 }));
  }
  const port = parsePortNumber(text);
  if (port === null) {
    reader.report("SKEP6017", field, `${JSON.stringify(text)} is neither a port (0 to 65535) nor the name of one`);
    return null;
  }
  if (port > 0 && last > 0 && last < port)
    reader.report("SKEP6018", field, `the range ends at ${last}, before it starts at ${port}`);
  if (port === 0) return numbers.map((number) => ({ protocol: number, port: 0, last: 65535 }));
  return numbers.map((number) => ({ protocol: number, port, last: Math.max(port, last) }));
}

/** Decimal, or hexadecimal, octal or binary with the prefixes of Go. */
function parsePortNumber(text: string): number | null {
  const digits = text === "" ? "0" : text;
  if (!/^(?:\d+|0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+)$/.test(digits)) return null;
  const isOctal = /^0\d/.test(digits);
  if (isOctal && /[89]/.test(digits)) return null;
  const value = isOctal ? Number.parseInt(digits, 8) : Number(digits);
  return value <= 65535 ? value : null;
}

function parseProtocol(reader: Reader, fields: Fields): ProtocolName | null {
  const field = fields.get("protocol");
  if (field === null) return "ANY";
  const text = reader.string(field);
  if (text === null) return null;
  if (text === "") return "ANY";
  const found = PROTOCOLS.find((name) => name === text.toUpperCase());
  if (found !== undefined) return found;
  const hint = /^icmp/i.test(text) ? "ICMP has a section of its own: icmps" : undefined;
  reader.oneOf(field, PROTOCOLS, "SKEP6019");
  const last = reader.diagnostics.at(-1);
  if (hint !== undefined && last) reader.diagnostics[reader.diagnostics.length - 1] = { ...last, hint };
  return null;
}

export function protocolNumber(name: ProtocolName): number {
  return name === "ANY" ? 0 : ipProtocols[name.toLowerCase() as keyof typeof ipProtocols];
}

function parseServerNames(reader: Reader, fields: Fields): string[] {
  const names: string[] = [];
  for (const item of fields.list("serverNames") ?? []) {
    const name = reader.string(item);
    if (name === "") reader.report("SKEP6029", item, "a server name is not empty");
    else if (name !== null) names.push(name);
  }
  return names;
}

function parseTls(reader: Reader, field: Field | null, { namespace }: PortContext): TlsContext | null {
  const fields = field && reader.fields(field, ["secret", "trustedCA", "certificate", "privateKey"]);
  const secretField = fields?.require("secret");
  const secret = secretField && reader.fields(secretField, ["namespace", "name"]);
  const nameField = secret?.require("name");
  const name = nameField && reader.string(nameField);
  if (!fields || !secret || !name) return null;
  return {
    secret: { namespace: secret.string("namespace") ?? namespace, name },
    trustedCa: fields.string("trustedCA") ?? "",
    certificate: fields.string("certificate") ?? "",
    privateKey: fields.string("privateKey") ?? "",
  };
}

function parseListener(reader: Reader, field: Field | null): Listener | null {
  const fields = field && reader.fields(field, ["envoyConfig", "name", "priority"]);
  const configField = fields?.require("envoyConfig");
  const nameField = fields?.require("name");
  const config = configField && reader.fields(configField, ["kind", "name"]);
  const configName = config?.require("name");
  if (!fields || !nameField || !config || !configName) return null;
  const kindField = config.get("kind");
  const kinds = ["CiliumEnvoyConfig", "CiliumClusterwideEnvoyConfig"] as const;
  const priorityField = fields.get("priority");
  return {
    kind: (kindField && reader.oneOf(kindField, kinds)) ?? "CiliumEnvoyConfig",
    config: reader.string(configName) ?? "",
    name: reader.string(nameField) ?? "",
    priority: (priorityField && reader.integer(priorityField, 1, 100)) ?? 0,
  };
}

export function parseAuthentication(reader: Reader, field: Field | null): Authentication | null {
  const fields = field && reader.fields(field, ["mode"]);
  const modeField = fields?.require("mode");
  const mode = modeField && reader.oneOf(modeField, ["disabled", "required", "test-always-fail"]);
  return mode ? { mode } : null;
}
