import type { RuleOrigin } from "./rule.ts";

/**
 * Numbers for sets of rules. A rule keeps its number as long as its key is the same, over edits too; a number is never given
 * to another set, so that an event that is still under way names the right rules.
 */
export class Cookies {
  private readonly ruleIds = new Map<string, number>();
  private readonly origins = new Map<number, RuleOrigin>();
  private readonly cookies = new Map<string, number>();
  private readonly sets: (readonly number[])[] = [];

  /** Number of a rule, from 1; a later origin replaces the earlier. */
  ruleId(key: string, origin: RuleOrigin): number {
    let id = this.ruleIds.get(key);
    if (id === undefined) {
      id = this.ruleIds.size + 1;
      this.ruleIds.set(key, id);
    }
    this.origins.set(id, origin);
    return id;
  }

  /** Number of a set of rules, from 1. */
  cookie(ruleIds: Iterable<number>): number {
    const ids = [...new Set(ruleIds)].sort((a, b) => a - b);
    const key = ids.join(",");
    let cookie = this.cookies.get(key);
    if (cookie === undefined) {
      cookie = this.sets.push(ids);
      this.cookies.set(key, cookie);
    }
    return cookie;
  }

  /** The rules behind a cookie, as they stand now or stood last. Empty for a number that was never given. */
  rulesOf(cookie: number): readonly RuleOrigin[] {
    return (this.sets[cookie - 1] ?? []).flatMap((id) => this.origins.get(id) ?? []);
  }
}
