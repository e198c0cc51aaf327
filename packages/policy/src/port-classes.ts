/**
 * @module
 * Ports that rules treat alike: one of each class stands for all when policies are compared.
 */
import { ipProtocols } from "@skep/net";
import type { NamedPort } from "./identity.ts";
import type { Rule } from "./rule.ts";
import { formatPort, isIcmp, protocolName } from "./text.ts";

export interface PortClass {
  readonly protocol: number;
  /** First and last of the class. */
  readonly port: number;
  readonly last: number;
  /** It is what no rule names. */
  readonly isRest: boolean;
}

/** Classes of the ports that the rules name, and for each protocol the rest. */
export function portClasses(rules: Iterable<Rule>, namedPorts: readonly NamedPort[]): PortClass[] {
  const starts = new Map<number, Set<number>>([[ipProtocols.tcp, new Set()]]);
  const covered = new Map<number, [number, number][]>();
  const add = (protocol: number, port: number, last: number): void => {
    const set = starts.get(protocol) ?? new Set();
    starts.set(protocol, set.add(port).add(last + 1));
    covered.set(protocol, [...(covered.get(protocol) ?? []), [port, last]]);
  };
  for (const { ports } of rules)
    for (const match of (ports ?? []).flatMap((rule) => rule.ports)) {
      if (match.protocol === 0) continue;
      if (typeof match.port === "string") {
        for (const named of namedPorts)
          if (named.name === match.port && named.protocol === match.protocol)
            add(match.protocol, named.port, named.port);
      } else if (match.port === 0 && match.last === 65535)
        starts.set(match.protocol, starts.get(match.protocol) ?? new Set());
      else add(match.protocol, match.port, match.last);
    }
  return [...starts].flatMap(([protocol, set]) => classesOf(protocol, set, covered.get(protocol) ?? []));
}

function classesOf(protocol: number, starts: ReadonlySet<number>, covered: readonly [number, number][]): PortClass[] {
  const end = isIcmp(protocol) ? 255 : 65535;
  const edges = [...new Set([0, ...starts])].filter((edge) => edge <= end).sort((a, b) => a - b);
  const classes: PortClass[] = [];
  let hasRest = false;
  for (const [i, port] of edges.entries()) {
    const last = (edges[i + 1] ?? end + 1) - 1;
    const isRest = !covered.some(([from, to]) => port >= from && port <= to);
    // One class stands for all that no rule names, however many gaps it fills.
    if (!isRest || !hasRest) classes.push({ protocol, port, last, isRest });
    hasRest ||= isRest;
  }
  return classes;
}

/** `80/TCP`, `8000-8080/UDP`, `other TCP`. */
export function formatPortClass({ protocol, port, last, isRest }: PortClass): string {
  if (isRest) return `other ${protocolName(protocol)}`;
  if (last <= port) return formatPort(protocol, port);
  return isIcmp(protocol)
    ? `${protocolName(protocol)} types ${port}-${last}`
    : `${port}-${last}/${protocolName(protocol)}`;
}

/** A packet of the class; port 0 is never sent. */
export function sampleOf({ protocol, port, last }: PortClass): number {
  return port === 0 && last > 0 && !isIcmp(protocol) ? 1 : port;
}
