import { formatPrefix, ipProtocols } from "@skep/net";
import { formatSpan } from "./diagnostic.ts";
import {
  CLUSTER_LABEL,
  NAMESPACE_LABEL,
  NAMESPACE_LABELS_PREFIX,
  SERVICE_ACCOUNT_LABEL,
  type LabelKey,
  type LabelSet,
} from "./labels.ts";
import type { PeerSelector, PortMatch, PortRule, RuleOrigin } from "./rule.ts";
import { formatRequirement, type LabelSelector, type Requirement } from "./selector.ts";

/** `TCP`, `ICMPv6`, or the number. */
export function protocolName(protocol: number): string {
  if (protocol === 0) return "ANY";
  if (protocol === ipProtocols.icmpv6) return "ICMPv6";
  const found = Object.entries(ipProtocols).find(([, number]) => number === protocol);
  return found ? found[0].toUpperCase() : `protocol ${protocol}`;
}

/** IANA number of `TCP`, `icmpv6` or `47`; null for anything else. */
export function protocolNumberOf(text: string): number | null {
  if (/^\d{1,3}$/.test(text)) return Number(text) <= 255 ? Number(text) : null;
  const name = text.toLowerCase();
  return Object.hasOwn(ipProtocols, name) ? ipProtocols[name as keyof typeof ipProtocols] : null;
}

/** Like `protocolNumberOf`, for a name that is known to be one. Throws a RangeError. */
export function ipProtocolOf(text: string): number {
  const number = protocolNumberOf(text);
  if (number === null) throw new RangeError(`${JSON.stringify(text)} is no protocol`);
  return number;
}

export function isIcmp(protocol: number): boolean {
  return protocol === ipProtocols.icmp || protocol === ipProtocols.icmpv6;
}

/** `80/TCP`, `ICMP type 8`, `GRE`. */
export function formatPort(protocol: number, port: number): string {
  if (isIcmp(protocol)) return `${protocolName(protocol)} type ${port}`;
  const hasPorts = [ipProtocols.tcp, ipProtocols.udp, ipProtocols.sctp, ipProtocols.udplite].includes(protocol as 6);
  return hasPorts || port !== 0 ? `${port}/${protocolName(protocol)}` : protocolName(protocol);
}

/** `80/TCP`, `8000-8080/UDP`, `http/TCP`, `all of TCP`. */
export function formatPortMatch({ protocol, port, last }: PortMatch): string {
  const name = protocolName(protocol);
  if (typeof port === "string") return `${port}/${name}`;
  if (isIcmp(protocol)) return `${name} type ${port}`;
  if (port === 0) return `all of ${name}`;
  return last > port ? `${port}-${last}/${name}` : `${port}/${name}`;
}

export function formatPorts(ports: readonly PortRule[] | null): string {
  if (ports === null) return "all ports";
  const texts = [...new Set(ports.flatMap((rule) => rule.ports.map(formatPortMatch)))];
  if (texts.length === 0) return "no ports";
  return texts.length > 6 ? `${texts.slice(0, 6).join(", ")} and ${texts.length - 6} more` : texts.join(", ");
}

/** The selector as people write it: `app=web, tier in (a, b)`, without the source `any`. */
export function formatSelector(selector: LabelSelector): string {
  if (selector.requirements.length === 0) return "everything";
  return selector.requirements.map(shortRequirement).join(", ");
}

export function shortRequirement({ key, operator, values }: Requirement): string {
  if (key.key === NAMESPACE_LABEL && operator === "Exists") return "any namespace";
  return formatRequirement({ key: { source: "", key: labelName(key) }, operator, values }).replace(/^(!?):/, "$1");
}

/** The key as people know it: without the sources that go without saying. */
function labelName({ source, key }: LabelKey): string {
  if (key === NAMESPACE_LABEL) return "namespace";
  if (key === CLUSTER_LABEL) return "cluster";
  if (key === SERVICE_ACCOUNT_LABEL) return "service account";
  if (key.startsWith(NAMESPACE_LABELS_PREFIX)) return `namespace label ${key.slice(NAMESPACE_LABELS_PREFIX.length)}`;
  return source === "any" || source === "k8s" ? key : `${source}:${key}`;
}

export function formatPeer(peer: PeerSelector): string {
  switch (peer.kind) {
    case "labels":
      return peer.entity === undefined ? formatSelector(peer.selector) : `entity ${peer.entity}`;
    case "cidr": {
      const except = peer.except.length === 0 ? "" : ` except ${peer.except.map(formatPrefix).join(", ")}`;
      return `${formatPrefix(peer.prefix)}${except}`;
    }
    case "cidrGroup":
      return `CIDR group ${typeof peer.group === "string" ? peer.group : formatSelector(peer.group)}`;
    case "fqdn":
      return `name ${peer.matchName || peer.matchPattern}`;
    case "service":
      return `service ${peer.namespace}/${typeof peer.service === "string" ? peer.service : formatSelector(peer.service)}`;
    case "group":
      return "group of a cloud provider";
  }
}

/** What the labels have instead of what the requirement wants. */
export function describeUnmet({ key, operator, values }: Requirement, labels: LabelSet): string {
  const own = labels.get(key);
  const name = labelName(key);
  const has = own === null ? `has no label ${name}` : `has ${name}${own === "" ? "" : `=${own}`}`;
  switch (operator) {
    case "In":
      return `${has}, not ${values.join(" or ")}`;
    case "NotIn":
      return `${has}, which is excluded`;
    case "Exists":
      return has;
    case "DoesNotExist":
      return `${has}, which it must not have`;
  }
}

/** `CiliumNetworkPolicy default/rule1 (rules.yaml:12:5, spec.ingress[0])`. */
export function formatOrigin({ kind, namespace, name, path, span }: RuleOrigin): string {
  if (kind === "builtin") return `built in: ${name}`;
  const place = span ? `${formatSpan(span)}, ${path}` : path;
  return `${kind} ${namespace === "" ? name : `${namespace}/${name}`} (${place})`;
}
