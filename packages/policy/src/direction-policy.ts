import { auditDecider } from "./audit.ts";
import type { Cookies } from "./cookies.ts";
import { decide, type Decider, type Outcome } from "./decision.ts";
import { filtersOf, namedPort, releaseFilters, type Filter, type FilterContext } from "./filters.ts";
import type { NamedPort } from "./identity.ts";
import type { ProxyPorts } from "./l7-need.ts";
import { Levels } from "./levels.ts";
import type { PolicyMapEntry } from "./map-state.ts";
import { planRules, type PlanContext } from "./plan.ts";
import type { Direction, Rule } from "./rule.ts";
import type { CachedSelector, SelectorCache } from "./selector-cache.ts";
import { buildEntries, PrefixTable, type BoundFilter, type TemplateEntry } from "./template.ts";

export interface DirectionContext extends PlanContext {
  readonly cache: SelectorCache;
  readonly cookies: Cookies;
  readonly proxyPorts: ProxyPorts;
  /** Everything that would be denied is allowed and told. */
  readonly auditAll: boolean;
  readonly namedPorts: readonly NamedPort[];
  /** Of the policy that this is made for. */
  readonly version: number;
}

/** The rows of one identity before and after a change. */
export interface RowChange {
  readonly version: number;
  readonly before: readonly PolicyMapEntry[];
  readonly after: readonly PolicyMapEntry[];
}

const MAX_JOURNAL = 1024;

/** What rules say to one subject in one direction, peer by peer. Rebuilt when the rules change, updated when identities do. */
export class DirectionPolicy {
  readonly direction: Direction;
  readonly enforced: boolean;
  readonly filters: readonly Filter[];
  readonly rules: readonly Rule[];
  readonly levels: Levels;
  /** There are filters for anybody whose port each peer resolves: new identities matter although no selector names them. */
  readonly hasOpenNames: boolean;
  private readonly cache: SelectorCache;
  private readonly cookies: Cookies;
  /** What filters come to for an identity, or for everybody (0). */
  private readonly decider: (id: number) => Decider;
  private readonly isAudited: boolean;
  private readonly any: PrefixTable;
  private readonly anyBound: readonly BoundFilter[];
  private readonly anyNeedsMerge: boolean;
  private readonly bySelector = new Map<CachedSelector, Filter[]>();
  private readonly order = new Map<Filter, number>();
  private readonly templates = new Map<string, readonly TemplateEntry[]>();
  private readonly rows = new Map<number, readonly PolicyMapEntry[]>();
  private readonly journal: RowChange[] = [];
  private forgotten = 0;

  constructor(direction: Direction, selecting: readonly Rule[], context: DirectionContext) {
    const { cache, cookies, subject, namedPorts, proxyPorts, version } = context;
    const own = selecting.filter((rule) => rule.direction === direction);
    const audited = own.filter((rule) => rule.audit || context.auditAll);
    const real = own.filter((rule) => !audited.includes(rule));
    // At an audited endpoint nothing is denied, also not where everything is closed without a rule.
    const plan = planRules(direction, real, context.auditAll ? { ...context, enforcement: "never" } : context);
    const isClosed = context.auditAll && context.enforcement === "always";
    const whole = audited.length > 0 || isClosed ? planRules(direction, own, context) : plan;
    this.direction = direction;
    this.enforced = plan.enforced;
    this.rules = [...new Map([...whole.rules, ...plan.rules].map((rule) => [rule.key, rule])).values()];
    this.cache = cache;
    this.cookies = cookies;
    const filterContext: FilterContext = {
      cache,
      direction,
      namedPorts: [...namedPorts, ...(subject.identity.namedPorts ?? [])],
      proxyPorts,
      ruleId: (rule) => cookies.ruleId(rule.key, rule.origin),
    };
    this.levels = new Levels(this.rules);
    // Priorities that the kernel cannot tell apart would be guesses: nothing is allowed.
    this.filters = this.levels.overflows ? [] : this.rules.flatMap((rule) => filtersOf(rule, filterContext));
    this.hasOpenNames = this.filters.some(({ selectors, ports }) => selectors === null && typeof ports === "string");
    this.isAudited = whole !== plan;
    const { levels } = this;
    this.decider = this.isAudited
      ? auditDecider({ plan, whole, levels, filters: this.filters, audited: new Set(audited) })
      : () => (matching) => decide(matching, { levels, openByDefault: plan.openByDefault });
    for (const [i, filter] of this.filters.entries()) {
      this.order.set(filter, i);
      for (const selector of filter.selectors ?? []) {
        const known = this.bySelector.get(selector);
        if (known) known.push(filter);
        else this.bySelector.set(selector, [filter]);
      }
    }
    this.anyBound = this.filters.flatMap((filter) =>
      filter.selectors === null && typeof filter.ports !== "string" ? [{ filter, ports: filter.ports }] : [],
    );
    this.any = new PrefixTable(this.anyBound);
    this.anyNeedsMerge = this.levels.hasPass || this.anyBound.some(({ filter }) => filter.need !== null);
    this.refreshAll(version);
  }

  /** Gives the selectors back to the cache. */
  close(): void {
    releaseFilters(this.filters, this.cache);
  }

  /** Brings the rows of an identity up to date. Returns whether they changed; then `version` names the change. */
  refresh(id: number, version: number): boolean {
    const before = this.rows.get(id) ?? [];
    const after = this.rowsFor(id);
    if (before.length === after.length && after.every((entry, i) => sameEntry(entry, before[i]))) return false;
    if (after.length > 0) this.rows.set(id, after);
    else this.rows.delete(id);
    this.journal.push({ version, before, after });
    if (this.journal.length > MAX_JOURNAL) this.forgotten = this.journal.shift()?.version ?? version;
    return true;
  }

  /** Changes after the version; null where they are not all known any more. */
  changesSince(version: number): readonly RowChange[] | null {
    return version < this.forgotten ? null : this.journal.filter((change) => change.version > version);
  }

  /** Whether a selector of these is used here. */
  uses(selectors: Iterable<CachedSelector>): boolean {
    for (const selector of selectors) if (this.bySelector.has(selector)) return true;
    return false;
  }

  /** All rows anew, as of `version`. */
  refreshAll(version: number): void {
    this.rows.clear();
    this.journal.length = 0;
    const ids = new Set<number>([0]);
    for (const selector of this.bySelector.keys()) for (const id of selector.selections) ids.add(id);
    // A port by name with any peer is a port of each peer that has the name.
    if (this.hasOpenNames) for (const peer of this.cache.identities) ids.add(peer.id);
    for (const id of [...ids].sort((a, b) => a - b)) {
      const rows = this.rowsFor(id);
      if (rows.length > 0) this.rows.set(id, rows);
    }
    this.forgotten = version;
  }

  get size(): number {
    let size = 0;
    for (const entries of this.rows.values()) size += entries.length;
    return size;
  }

  *entries(): IterableIterator<PolicyMapEntry> {
    for (const entries of this.rows.values()) yield* entries;
  }

  /** How many entries each rule has a part in. */
  costs(): Map<Rule, number> {
    const costs = new Map<Rule, number>();
    for (const [id, entries] of this.rows) {
      if (entries.length === 0) continue;
      for (const { outcome } of this.templateOf(id))
        for (const { rule } of outcome.winners) costs.set(rule, (costs.get(rule) ?? 0) + 1);
    }
    return costs;
  }

  /** Where rules of several L7 kinds stand on the same ports: those that are asked and those that are not. */
  conflicts(): { readonly protocol: number; readonly port: number; readonly asked: Rule; readonly shadowed: Rule }[] {
    const found = new Map<string, ReturnType<DirectionPolicy["conflicts"]>[number]>();
    for (const entries of this.templates.values())
      for (const { protocol, port, outcome } of entries) {
        const [asked] = outcome.winners;
        for (const { rule } of outcome.shadowed ?? [])
          if (asked) found.set(`${asked.rule.key} ${rule.key}`, { protocol, port, asked: asked.rule, shadowed: rule });
      }
    return [...found.values()];
  }

  /** The filters that concern a peer, with their ports. */
  filtersFor(id: number): BoundFilter[] {
    return [...this.anyBound, ...this.ownFilters(id)];
  }

  /** The verdict of the rules themselves, without the detour over entries. */
  evaluate(id: number, protocol: number, port: number): Outcome | null {
    const matching = this.filtersFor(id).filter((bound) => matchesPort(bound, protocol, port));
    return this.decider(id)(matching.map(({ filter }) => filter));
  }

  private rowsFor(id: number): readonly PolicyMapEntry[] {
    const { direction } = this;
    return this.templateOf(id).map(({ protocol, port, portPrefix, outcome }) => ({
      direction,
      identity: id,
      protocol,
      port,
      portPrefix,
      precedence: outcome.precedence,
      deny: outcome.deny,
      proxyPort: outcome.proxyPort,
      cookie: this.cookies.cookie(outcome.winners.map(({ ruleId }) => ruleId)),
      ...(outcome.audit ? { audit: true } : {}),
    }));
  }

  private templateOf(id: number): readonly TemplateEntry[] {
    const own = id === 0 ? [] : this.ownFilters(id);
    if (id !== 0 && own.length === 0) return [];
    const key = own.map(({ filter, ports }) => `${this.order.get(filter) ?? ""}${portKey(filter, ports)}`).join(",");
    let template = this.templates.get(key);
    if (!template) {
      template = this.build(own);
      this.templates.set(key, template);
    }
    return template;
  }

  private build(own: readonly BoundFilter[]): TemplateEntry[] {
    if (own.length === 0) return buildEntries(this.any, null, this.decider(0));
    const merge = this.isAudited || this.anyNeedsMerge || own.some(({ filter }) => filter.need !== null);
    const table = new PrefixTable(merge ? [...this.anyBound, ...own] : own);
    return buildEntries(table, this.isAudited ? null : this.any, this.decider(1));
  }

  /** Filters that name the peer, in their order, with the peer's named ports. */
  private ownFilters(id: number): BoundFilter[] {
    const found = new Set<Filter>();
    for (const [selector, filters] of this.bySelector)
      if (selector.selections.has(id)) for (const filter of filters) found.add(filter);
    const peer = this.cache.get(id);
    if (peer && this.hasOpenNames)
      for (const filter of this.filters)
        if (filter.selectors === null && typeof filter.ports === "string") found.add(filter);
    const ordered = [...found].sort((a, b) => (this.order.get(a) ?? 0) - (this.order.get(b) ?? 0));
    return ordered.flatMap((filter) => {
      if (typeof filter.ports !== "string") return [{ filter, ports: filter.ports }];
      const port = peer && namedPort(peer.identity.namedPorts ?? [], filter.ports, filter.protocol);
      return port === null ? [] : [{ filter, ports: [{ port, length: 16 }] }];
    });
  }
}

function portKey({ ports }: Filter, bound: BoundFilter["ports"]): string {
  return typeof ports === "string" ? `:${bound[0]?.port ?? ""}` : "";
}

export function matchesPort({ filter, ports }: BoundFilter, protocol: number, port: number): boolean {
  if (filter.protocol === 0) return true;
  if (filter.protocol !== protocol) return false;
  return ports.some((prefix) => port >> (16 - prefix.length) === prefix.port >> (16 - prefix.length));
}

function sameEntry(a: PolicyMapEntry, b: PolicyMapEntry | undefined): boolean {
  return (
    b !== undefined &&
    a.protocol === b.protocol &&
    a.port === b.port &&
    a.portPrefix === b.portPrefix &&
    a.precedence === b.precedence &&
    a.deny === b.deny &&
    a.proxyPort === b.proxyPort &&
    a.cookie === b.cookie &&
    a.audit === b.audit
  );
}
