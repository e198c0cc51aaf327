/**
 * @module
 * Workloads and the services that select them, found by one label of each selector.
 */
import { objectKey, type ServiceSpec, type WorkloadSpec } from "./spec.ts";
import { selectsWorkload } from "./convert.ts";

/** The label that a service is filed under; null: it selects nothing. */
function anchorOf({ namespace, selector }: ServiceSpec): string | null {
  const [first] = Object.entries(selector);
  return first ? `${namespace}/k8s:${first[0]}=${first[1]}` : null;
}

function labelKeys({ namespace, labels }: WorkloadSpec): string[] {
  return Object.entries(labels).map(([key, value]) => `${namespace}/${key}=${value}`);
}

class Index<T> {
  readonly #sets = new Map<string, Map<string, T>>();

  add(at: string, key: string, value: T): void {
    const set = this.#sets.get(at) ?? new Map<string, T>();
    set.set(key, value);
    this.#sets.set(at, set);
  }

  delete(at: string, key: string): void {
    const set = this.#sets.get(at);
    set?.delete(key);
    if (set?.size === 0) this.#sets.delete(at);
  }

  at(at: string): Iterable<T> {
    return this.#sets.get(at)?.values() ?? [];
  }
}

export class Workloads {
  readonly #workloads = new Map<string, WorkloadSpec>();
  readonly #byLabel = new Index<WorkloadSpec>();
  readonly #services = new Index<ServiceSpec>();

  values(): Iterable<WorkloadSpec> {
    return this.#workloads.values();
  }

  ids(): string[] {
    return [...this.#workloads.keys()];
  }

  get(id: string): WorkloadSpec | null {
    return this.#workloads.get(id) ?? null;
  }

  set(id: string, workload: WorkloadSpec | null): void {
    const old = this.#workloads.get(id);
    if (old) for (const key of labelKeys(old)) this.#byLabel.delete(key, id);
    this.#workloads.delete(id);
    if (!workload) return;
    this.#workloads.set(id, workload);
    for (const key of labelKeys(workload)) this.#byLabel.add(key, id, workload);
  }

  setService(old: ServiceSpec | null, spec: ServiceSpec | null): void {
    const before = old && anchorOf(old);
    if (old && before !== null) this.#services.delete(before, objectKey(old));
    const after = spec && anchorOf(spec);
    if (spec && after !== null) this.#services.add(after, objectKey(spec), spec);
  }

  selectedBy(spec: ServiceSpec): WorkloadSpec[] {
    const anchor = anchorOf(spec);
    if (anchor === null) return [];
    return [...this.#byLabel.at(anchor)].filter((workload) => selectsWorkload(spec, workload));
  }

  servicesOf(workload: WorkloadSpec): ServiceSpec[] {
    const found = labelKeys(workload).flatMap((key) => [...this.#services.at(key)]);
    return found.filter((spec) => selectsWorkload(spec, workload));
  }
}
