/**
 * @module
 * The entries of one peer: verdicts of overlapping filters turned into prefixes over protocol and port of which the longest is right.
 */
import type { PortPrefix } from "@skep/net";
import type { Decider, Outcome } from "./decision.ts";
import type { Filter } from "./filters.ts";

/** A filter with the ports that it has for the peer. */
export interface BoundFilter {
  readonly filter: Filter;
  readonly ports: readonly PortPrefix[];
}

export interface TemplateEntry {
  readonly protocol: number;
  readonly port: number;
  readonly portPrefix: number;
  readonly outcome: Outcome;
}

/** Filters by the prefix that they match exactly. */
export class PrefixTable {
  private readonly nodes = new Map<number, Filter[]>();

  constructor(filters: Iterable<BoundFilter>) {
    for (const { filter, ports } of filters)
      for (const { port, length } of ports) {
        const key = nodeKey(filter.protocol, port, length);
        const node = this.nodes.get(key);
        if (node) node.push(filter);
        else this.nodes.set(key, [filter]);
      }
  }

  get keys(): number[] {
    return [...this.nodes.keys()];
  }

  has(key: number): boolean {
    return this.nodes.has(key);
  }

  /** All filters that match every packet of the prefix. */
  covering(key: number): Filter[] {
    const found: Filter[] = [];
    for (const at of chain(key)) {
      const own = this.nodes.get(at);
      if (own) found.push(...own);
    }
    return found;
  }
}

/** Protocol, then prefix length, then port; the order of the numbers is that of depth within a protocol. */
export function nodeKey(protocol: number, port: number, length: number): number {
  return protocol === 0 ? 0 : (protocol * 32 + length) * 65536 + port;
}

export function splitKey(key: number): { protocol: number; port: number; portPrefix: number } {
  const port = key % 65536;
  const rest = (key - port) / 65536;
  return { protocol: Math.floor(rest / 32), port, portPrefix: rest % 32 };
}

/** The prefix itself and all shorter ones that hold it. */
export function* chain(key: number): IterableIterator<number> {
  if (key !== 0) {
    const { protocol, port, portPrefix } = splitKey(key);
    for (let length = portPrefix; length >= 0; length--)
      yield nodeKey(protocol, length === 0 ? 0 : port & (0xffff << (16 - length)) & 0xffff, length);
  }
  yield 0;
}

/**
 * Entries for which the longest matching prefix has the right verdict; what a shorter one says already is left out. With `any`, the
 * table of the filters for everybody, also what the entries for everybody say already.
 */
export function buildEntries(own: PrefixTable, any: PrefixTable | null, decide: Decider): TemplateEntry[] {
  const keys = own.keys.sort((a, b) => depth(a) - depth(b) || a - b);
  const outcomes = new Map<number, Outcome | null>();
  const entries: TemplateEntry[] = [];
  for (const key of keys) {
    const outcome = decide(own.covering(key));
    outcomes.set(key, outcome);
    if (outcome === null) continue;
    const shorter = nearest(key, outcomes);
    if (shorter && sameOutcome(shorter, outcome)) continue;
    const common = any && decide(any.covering(key));
    if (common && covers(common, outcome)) continue;
    entries.push({ ...splitKey(key), outcome });
  }
  return entries;
}

function depth(key: number): number {
  return key === 0 ? 0 : 1 + splitKey(key).portPrefix;
}

/** Of the prefixes above; one without an outcome leaves it to those above it. */
function nearest(key: number, outcomes: ReadonlyMap<number, Outcome | null>): Outcome | null {
  for (const at of chain(key)) {
    const found = at === key ? null : outcomes.get(at);
    if (found) return found;
  }
  return null;
}

function sameOutcome(a: Outcome, b: Outcome): boolean {
  if (a.precedence !== b.precedence || a.deny !== b.deny || a.proxyPort !== b.proxyPort) return false;
  if (a.audit !== b.audit) return false;
  return (a.proxyPort === 0 && !a.audit) || sameWinners(a, b);
}

/** Whether the entries for everybody give the outcome, or win over it, wherever the prefix matches. */
function covers(common: Outcome, own: Outcome): boolean {
  if (common.precedence !== own.precedence) return common.precedence > own.precedence;
  return sameOutcome(common, own);
}

function sameWinners(a: Outcome, b: Outcome): boolean {
  return (
    a.widened === b.widened && a.winners.length === b.winners.length && a.winners.every((f, i) => f === b.winners[i])
  );
}
