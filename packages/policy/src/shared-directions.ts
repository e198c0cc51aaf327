/**
 * @module
 * What rules say in one direction, once for all subjects that the same rules select: what is made of them depends on little else.
 */
import { DirectionPolicy, type DirectionContext } from "./direction-policy.ts";
import type { Direction, Rule } from "./rule.ts";

interface Shared {
  readonly key: string;
  users: number;
}

export class SharedDirections {
  readonly #byKey = new Map<string, DirectionPolicy>();
  readonly #shared = new Map<DirectionPolicy, Shared>();
  /** A rule that was read anew is another one, whatever its name. */
  readonly #numbers = new WeakMap<Rule, number>();
  #last = 0;

  /** `release` it as often. */
  acquire(direction: Direction, rules: readonly Rule[], context: DirectionContext): DirectionPolicy {
    const key = this.#keyOf(direction, rules, context);
    const known = this.#byKey.get(key);
    const policy = known ?? new DirectionPolicy(direction, rules, context);
    const shared = this.#shared.get(policy) ?? { key, users: 0 };
    shared.users += 1;
    this.#byKey.set(key, policy);
    this.#shared.set(policy, shared);
    return policy;
  }

  release(policy: DirectionPolicy): void {
    const shared = this.#shared.get(policy);
    if (!shared) return;
    shared.users -= 1;
    if (shared.users > 0) return;
    this.#shared.delete(policy);
    this.#byKey.delete(shared.key);
    policy.close();
  }

  /** Each once. */
  all(): Iterable<DirectionPolicy> {
    return this.#shared.keys();
  }

  /** All that a direction is made of, but for the engine's own settings. */
  #keyOf(direction: Direction, rules: readonly Rule[], context: DirectionContext): string {
    const { subject, namedPorts, auditAll, enforcement } = context;
    const own = rules.filter((rule) => rule.direction === direction).map((rule) => this.#numberOf(rule));
    const ports = [...namedPorts, ...(subject.identity.namedPorts ?? [])];
    const names = ports.map(({ name, protocol, port }) => `${name}/${protocol}=${port}`);
    const special = ["reserved:host", "reserved:init"].filter((label) => subject.labels.has(label));
    return [direction, own.join(), names.join(), auditAll ? "audit" : "", enforcement, ...special].join(" ");
  }

  #numberOf(rule: Rule): number {
    const known = this.#numbers.get(rule);
    if (known !== undefined) return known;
    this.#last += 1;
    this.#numbers.set(rule, this.#last);
    return this.#last;
  }
}
