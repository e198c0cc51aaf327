/**
 * @module
 * Tiers and priorities as the 24 bits of priority that the kernel compares. A rule that passes hands over to the tiers below; what they
 * decide must stand right behind it and before the rest of its tier, so room for them is left after each passing level.
 * The layout is that of Cilium's computeTierPriorities (pkg/policy/rules.go), without its rounding.
 */
import { tiers, type Tier, type Verdict } from "./rule.ts";

export interface Level {
  readonly tier: Tier;
  readonly priority: number;
}

interface TierLayout {
  readonly tier: number;
  /** Ascending. */
  readonly priorities: readonly number[];
  /** Levels with a pass, by index of `priorities`. */
  readonly passes: readonly boolean[];
  /** Numbers that the tier and those below it take. */
  readonly size: number;
}

const MAX_PRIORITY = 2 ** 24 - 1;

export class Levels {
  readonly hasPass: boolean;
  private readonly layouts: readonly TierLayout[];

  constructor(rules: Iterable<Level & { readonly verdict: Verdict }>) {
    const byTier = new Map<number, Map<number, boolean>>();
    for (const { tier, priority, verdict } of rules) {
      const levels = byTier.get(tiers[tier]) ?? new Map<number, boolean>();
      byTier.set(tiers[tier], levels.set(priority, verdict === "pass" || (levels.get(priority) ?? false)));
    }
    const layouts: TierLayout[] = [];
    let below = 0;
    for (const [tier, levels] of [...byTier].sort(([a], [b]) => b - a)) {
      const priorities = [...levels.keys()].sort((a, b) => a - b);
      const passes = priorities.map((priority) => levels.get(priority) ?? false);
      below = priorities.length + (passes.filter(Boolean).length + 1) * below;
      layouts.unshift({ tier, priorities, passes, size: below });
    }
    this.layouts = layouts;
    this.hasPass = layouts.some(({ passes }) => passes.includes(true));
  }

  /** Whether there are more priorities than the kernel's 24 bits tell apart. */
  get overflows(): boolean {
    return (this.layouts[0]?.size ?? 0) > MAX_PRIORITY;
  }

  /** The tiers that have rules, first asked first. */
  get tiers(): readonly number[] {
    return this.layouts.map(({ tier }) => tier);
  }

  /** Number of a level of the tier when the tier starts at `base`; 0 is asked first. */
  at(tierIndex: number, priority: number, base: number): number {
    const layout = this.layouts[tierIndex];
    if (!layout) return base;
    const index = layout.priorities.indexOf(priority);
    return base + index + layout.passes.slice(0, index).filter(Boolean).length * this.sizeBelow(tierIndex);
  }

  /** Where the next tier starts when nothing of this one matches. */
  after(tierIndex: number, base: number): number {
    const layout = this.layouts[tierIndex];
    if (!layout) return base;
    return base + layout.priorities.length + layout.passes.filter(Boolean).length * this.sizeBelow(tierIndex);
  }

  private sizeBelow(tierIndex: number): number {
    return this.layouts[tierIndex + 1]?.size ?? 0;
  }
}

/** Low byte of a precedence (Cilium: pkg/policy/types/entry.go). */
export const precedenceBytes = { pass: 0, allow: 1, deny: 255 } as const;

/** `level` 0 is the highest. */
export function precedenceOf(level: number, byte: number): number {
  return (MAX_PRIORITY - Math.min(level, MAX_PRIORITY)) * 256 + byte;
}
