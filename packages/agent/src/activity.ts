/**
 * @module
 * What the agent has done and how long it took, counted as it is done, under Cilium's names (pkg/metrics). What is read when it is asked for stands in `metrics.ts`.
 */
import { Counter, Gauge, Histogram, type Metric } from "prom-client";

type ServiceAction = "add" | "update" | "delete";
type AddressAction = "upsert" | "delete";

const counter = <T extends string>(name: string, help: string, labels: readonly T[]): Counter<T> =>
  new Counter({ name: `cilium_${name}`, help, labelNames: [...labels], registers: [] });

const histogram = <T extends string>(name: string, help: string, labels: readonly T[]): Histogram<T> =>
  new Histogram({ name: `cilium_${name}`, help, labelNames: [...labels], registers: [] });

export class Activity {
  readonly #regenerations = counter(
    "endpoint_regenerations_total",
    "Count of all endpoint regenerations that have completed",
    ["outcome"],
  );
  readonly #regenerationTime = histogram(
    "endpoint_regeneration_time_stats_seconds",
    "Endpoint regeneration time stats",
    ["scope", "status"],
  );
  readonly #policyChanges = counter("policy_change_total", "Number of policy changes by outcome", ["outcome"]);
  readonly #policyDelay = histogram(
    "policy_implementation_delay",
    "Time in seconds between a policy change and it being fully deployed into the datapath",
    ["source"],
  );
  readonly #services = counter("services_events_total", "Number of services events labeled by action type", ["action"]);
  readonly #addresses = counter("ipcache_events_total", "Number of events interacting with the ipcache", ["type"]);
  readonly #collections = histogram(
    "datapath_conntrack_gc_duration_seconds",
    "Duration in seconds of the garbage collector process",
    ["status"],
  );
  readonly #bootstrap = new Gauge({
    ...{ name: "cilium_agent_bootstrap_seconds", help: "Duration of bootstrap sequence" },
    ...{ labelNames: ["scope", "outcome"], registers: [] },
  });
  /** When each read began whose policies are not in force everywhere yet, in milliseconds. */
  #waiting: number[] = [];

  constructor() {
    // Those that are none yet are shown too.
    for (const outcome of ["success", "fail"]) {
      this.#regenerations.inc({ outcome }, 0);
      this.#policyChanges.inc({ outcome }, 0);
    }
    for (const action of ["add", "update", "delete"]) this.#services.inc({ action }, 0);
    for (const type of ["upsert", "delete"]) this.#addresses.inc({ type }, 0);
  }

  get metrics(): Metric[] {
    return [
      ...[this.#regenerations, this.#regenerationTime, this.#policyChanges, this.#policyDelay],
      ...[this.#services, this.#addresses, this.#collections, this.#bootstrap],
    ];
  }

  /** An endpoint's rows were written, or not. */
  regenerated(isDone: boolean, milliseconds: number): void {
    this.#regenerations.inc({ outcome: isDone ? "success" : "fail" });
    this.#regenerationTime.observe({ scope: "total", status: isDone ? "success" : "failure" }, milliseconds / 1000);
  }

  /** The folder was read. `changed`: policies; `refused`: files. `since`: when that began, of `performance.now()`. */
  policiesRead({
    changed,
    refused,
    since,
  }: {
    readonly changed: number;
    readonly refused: number;
    readonly since: number;
  }): void {
    this.#policyChanges.inc({ outcome: "success" }, changed);
    this.#policyChanges.inc({ outcome: "fail" }, refused);
    if (changed > 0) this.#waiting.push(since);
  }

  /** All that is known is in force everywhere. */
  allInForce(): void {
    const now = performance.now();
    for (const since of this.#waiting.splice(0))
      this.#policyDelay.observe({ source: "directory" }, (now - since) / 1000);
  }

  serviceTold(action: ServiceAction): void {
    this.#services.inc({ action });
  }

  addressTold(type: AddressAction): void {
    this.#addresses.inc({ type });
  }

  collected(isDone: boolean, milliseconds: number): void {
    this.#collections.observe({ status: isDone ? "completed" : "uncompleted" }, milliseconds / 1000);
  }

  started(milliseconds: number): void {
    this.#bootstrap.set({ scope: "overall", outcome: "success" }, milliseconds / 1000);
  }
}
