/**
 * @module
 * The small languages that fields of a filter are written in.
 */
import { parseAddress, parsePrefix, prefixContains } from "@skep/net";
import { FilterError } from "./error.ts";

export type TextMatch = (text: string) => boolean;

/** An address or a prefix. */
export function compileIp(text: string): TextMatch {
  const address = parseAddress(text);
  if (address) return (other) => other === text;
  const prefix = parsePrefix(text);
  if (!prefix) throw new FilterError(`"${text}" is not an IP address or a CIDR prefix`);
  return (other) => {
    const parsed = parseAddress(other);
    return parsed !== null && parsed.family === prefix.address.family && prefixContains(prefix, parsed);
  };
}

/** `namespace/prefix`, `namespace/`, `/prefix`, or `prefix` in the namespace default. */
export function compileNamespacedName(text: string): (namespace: string, name: string) => boolean {
  if (text === "") throw new FilterError("an empty name: write [NAMESPACE/][PREFIX]");
  const slash = text.indexOf("/");
  const namespace = slash === -1 ? "default" : text.slice(0, slash);
  const prefix = slash === -1 ? text : text.slice(slash + 1);
  return (otherNamespace, otherName) => {
    if (otherNamespace === "" && otherName === "") return false;
    return (namespace === "" || namespace === otherNamespace) && otherName.startsWith(prefix);
  };
}

const escapeRegExp = (text: string): string => text.replace(/[\\^$.|?+()[\]{}]/g, "\\$&");

/** `*` stands for any characters. */
export function compileFqdn(text: string): TextMatch {
  const pattern = text.trim().replace(/\.$/, "").toLowerCase();
  if (pattern === "") throw new FilterError("an empty DNS name");
  const expression = new RegExp(`^${escapeRegExp(pattern).replaceAll("*", "[-a-z0-9_.]*")}$`);
  return (name) => expression.test(name.replace(/\.$/, "").toLowerCase());
}

/** `node*`, `cluster/node*`, `cluster/`. */
export function compileNodeName(text: string): TextMatch {
  const parts = text.split("/");
  if (text === "" || parts.length > 2) throw new FilterError(`"${text}" is not a node name: write [CLUSTER/]NODE`);
  const part = (pattern: string): string => (pattern === "" ? "[^/]*" : escapeRegExp(pattern).replaceAll("*", "[^/]*"));
  const [cluster, node] = parts.length === 2 ? [part(parts[0] ?? ""), part(parts[1] ?? "")] : ["[^/]*", part(text)];
  const expression = new RegExp(`^(?:${cluster}/)?${node}$`);
  // Without a cluster in the flow, only a pattern without one can match.
  return (name) => expression.test(name) && (name.includes("/") || parts.length === 1 || parts[0] === "");
}

export function compileRegExp(text: string): TextMatch {
  try {
    const expression = new RegExp(text);
    return (other) => expression.test(other);
  } catch (cause) {
    throw new FilterError(`"${text}" is not a regular expression`, { cause });
  }
}

/** `80` or `8000-8100`. */
export function compilePort(text: string): (port: number) => boolean {
  const found = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  const first = Number(found?.[1]);
  const last = Number(found?.[2] ?? found?.[1]);
  if (!found || first > 65_535 || last > 65_535 || first > last) {
    throw new FilterError(`"${text}" is not a port, such as 80 or 8000-8100`);
  }
  return (port) => port >= first && port <= last;
}

/** `404`, or `4+` and `40+` for all that begin so. */
export function compileStatus(text: string): (code: number) => boolean {
  if (/^[1-5]\d\d$/.test(text)) return (code) => `${code}` === text;
  if (/^[1-5]\d?\+$/.test(text)) return (code) => code >= 100 && `${code}`.startsWith(text.slice(0, -1));
  throw new FilterError(`"${text}" is not an HTTP status, such as 404 or 5+`);
}
