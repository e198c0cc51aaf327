import type { Filter } from "./filters.ts";
import { WIDENED_BYTE } from "./l7-need.ts";
import { precedenceBytes, precedenceOf, type Levels } from "./levels.ts";
import { tiers } from "./rule.ts";

/** What the filters that match a packet come to. */
export interface Outcome {
  readonly precedence: number;
  readonly deny: boolean;
  readonly proxyPort: number;
  /** The filters that decided. */
  readonly winners: readonly Filter[];
  /** A plain rule allows too: the proxy lets everything pass. */
  readonly widened: boolean;
  /** Rules of other L7 kinds on the same ports: one proxy serves them, and it is not theirs. */
  readonly shadowed?: readonly Filter[];
  /** Allowed, and the winners would deny it if they were not only audited. */
  readonly audit?: true;
}

/** What the filters that match a packet come to; null: nothing. */
export type Decider = (matching: readonly Filter[]) => Outcome | null;

export interface DecisionContext {
  readonly levels: Levels;
  /** Nothing that matches no rule is denied: L7 rules only look. */
  readonly openByDefault: boolean;
}

/**
 * The verdict of all filters that match: the first tier and in it the lowest priority decide; there deny beats allow, allow through
 * a proxy beats plain allow, and pass goes on with the next tier. Null: none of them decides.
 */
export function decide(matching: readonly Filter[], context: DecisionContext): Outcome | null {
  const { levels } = context;
  let base = 0;
  for (const [index, tier] of levels.tiers.entries()) {
    const own = matching.filter((filter) => tiers[filter.tier] === tier);
    if (own.length === 0) {
      base = levels.after(index, base);
      continue;
    }
    const priority = Math.min(...own.map((filter) => filter.priority));
    const first = own.filter((filter) => filter.priority === priority);
    const level = levels.at(index, priority, base);
    const denies = first.filter(({ verdict }) => verdict === "deny");
    if (denies.length > 0) return denial(denies, precedenceOf(level, precedenceBytes.deny));
    const allows = first.filter(({ verdict }) => verdict === "allow");
    if (allows.length > 0) return allowance(allows, { level, ...context });
    base = level + 1;
  }
  return null;
}

function denial(winners: readonly Filter[], precedence: number): Outcome {
  return { precedence, deny: true, proxyPort: 0, winners, widened: false };
}

function allowance(allows: readonly Filter[], { level, openByDefault }: DecisionContext & { level: number }): Outcome {
  const byte = Math.max(...allows.map((filter) => filter.byte));
  const winners = allows.filter((filter) => filter.byte === byte);
  const plain = allows.filter(({ need }) => need === null);
  const widened = plain.length > 0 || openByDefault;
  const proxied = winners.filter(({ need }) => need !== null);
  const proxyPort = proxied.find((filter) => filter.proxyPort > 0)?.proxyPort ?? 0;
  const precedence = precedenceOf(level, byte);
  if (proxied.length === 0) return { precedence, deny: false, proxyPort: 0, winners, widened: false };
  const shadowed = shadowedBy(proxied, allows);
  const odd = shadowed.length > 0 ? { shadowed } : {};
  if (proxyPort > 0) return { precedence, deny: false, proxyPort, winners, widened, ...odd };
  if (!widened) return denial(winners, precedence);
  return {
    precedence: precedenceOf(level, WIDENED_BYTE),
    deny: false,
    proxyPort: 0,
    winners: plain.length > 0 ? plain : winners,
    widened,
  };
}

/** TLS alone is looked at by every proxy that terminates it. */
function shadowedBy(winners: readonly Filter[], allows: readonly Filter[]): Filter[] {
  const kind = winners[0]?.need?.kind;
  return allows.filter(({ need }) => need !== null && need.kind !== kind && need.kind !== "tls");
}
