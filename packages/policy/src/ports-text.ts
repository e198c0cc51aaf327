import { ipProtocols, parsePort } from "@skep/net";
import { icmpTypes } from "./parse/icmp.ts";
import { protocolNumberOf } from "./text.ts";

export interface PortQuery {
  /** IANA number. */
  readonly protocol: number;
  /** ICMP: the type. */
  readonly port: number;
}

/** `80/TCP`, `80` (TCP), `53/udp`, `ICMP/8`, `ICMPv6/EchoRequest`, `GRE`. Null for anything else. */
export function parsePortQuery(text: string): PortQuery | null {
  const [first = "", second] = text.trim().split("/");
  if (second === undefined) {
    const port = parsePort(first);
    if (port !== null) return { protocol: ipProtocols.tcp, port };
    const protocol = Number.isNaN(Number(first)) ? protocolNumberOf(first) : null;
    return protocol === null ? null : { protocol, port: 0 };
  }
  const family = /^icmp(v6)?$/i.exec(first);
  if (family) return icmpQuery(family[1] ? "IPv6" : "IPv4", second);
  const port = parsePort(first);
  const protocol = protocolNumberOf(second);
  return port === null || protocol === null ? null : { protocol, port };
}

function icmpQuery(family: keyof typeof icmpTypes, text: string): PortQuery | null {
  const names: Readonly<Record<string, number>> = icmpTypes[family];
  const type = Object.hasOwn(names, text) ? names[text] : /^\d{1,3}$/.test(text) ? Number(text) : undefined;
  if (type === undefined || type > 255) return null;
  return { protocol: family === "IPv4" ? ipProtocols.icmp : ipProtocols.icmpv6, port: type };
}
