import type { LabelKey, LabelSet } from "./labels.ts";
import { formatLabelKey } from "./labels.ts";

export type Operator = "In" | "NotIn" | "Exists" | "DoesNotExist";

export interface Requirement {
  readonly key: LabelKey;
  readonly operator: Operator;
  readonly values: readonly string[];
}

/** All requirements must hold; without any it matches everything. */
export interface LabelSelector {
  readonly requirements: readonly Requirement[];
  /** Same text for selectors that match the same. */
  readonly text: string;
}

export function labelSelector(requirements: readonly Requirement[]): LabelSelector {
  const parts = [...new Set(requirements.map(formatRequirement))].sort();
  return { requirements, text: parts.join(",") };
}

export function equalTo(key: LabelKey, value: string): Requirement {
  return { key, operator: "In", values: [value] };
}

export function exists(key: LabelKey): Requirement {
  return { key, operator: "Exists", values: [] };
}

export function matchesLabels(selector: LabelSelector, labels: LabelSet): boolean {
  return selector.requirements.every((requirement) => meets(requirement, labels));
}

/** The first requirement that does not hold, or null. */
export function firstUnmet(selector: LabelSelector, labels: LabelSet): Requirement | null {
  return selector.requirements.find((requirement) => !meets(requirement, labels)) ?? null;
}

/** An absent label satisfies NotIn: the semantics of Kubernetes. */
export function meets({ key, operator, values }: Requirement, labels: LabelSet): boolean {
  const value = labels.get(key);
  switch (operator) {
    case "In":
      return value !== null && values.includes(value);
    case "NotIn":
      return value === null || !values.includes(value);
    case "Exists":
      return value !== null;
    case "DoesNotExist":
      return value === null;
  }
}

/** `any:app=web`, `k8s:tier in (a, b)`, `!k8s:x`. */
export function formatRequirement({ key, operator, values }: Requirement): string {
  const name = formatLabelKey(key);
  const [first = ""] = values;
  switch (operator) {
    case "In":
      return values.length === 1 ? `${name}=${first}` : `${name} in (${[...values].sort().join(", ")})`;
    case "NotIn":
      return `${name} notin (${[...values].sort().join(", ")})`;
    case "Exists":
      return name;
    case "DoesNotExist":
      return `!${name}`;
  }
}

/** A key without its source that every match has: what an index files the selector under. Null if there is none. */
export function anchorOf(selector: LabelSelector): { readonly key: string; readonly values: readonly string[] } | null {
  let anchor: { key: string; values: readonly string[] } | null = null;
  for (const { key, operator, values } of selector.requirements) {
    // The namespace is the weakest anchor: many selectors share few of them.
    if (operator === "In" && (anchor === null || anchor.values.length === 0 || anchor.key.startsWith("io.")))
      anchor = { key: key.key, values };
    else if (operator === "Exists" && anchor === null) anchor = { key: key.key, values: [] };
  }
  return anchor;
}
