/**
 * @module
 * Backends that somebody has taken out of what new connections get: by address, for all services that they serve.
 */
import { ChangeLog } from "../number-changes.ts";
import type { Instance, InstanceState } from "./model.ts";

/** States that can be asked for; the others come from Kubernetes. */
export const ASKED_STATES = ["active", "quarantined", "maintenance"] as const;
export type AskedState = (typeof ASKED_STATES)[number];
type OutState = Exclude<AskedState, "active">;

export type BackendStatesSnapshot = readonly (readonly [key: string, state: string])[];

/** From a state to those that may be asked for in it (Cilium, `pkg/loadbalancer`: BackendState). */
const ALLOWED: Readonly<Record<InstanceState, readonly AskedState[]>> = {
  active: ["active", "quarantined", "maintenance"],
  quarantined: ["active", "quarantined"],
  maintenance: ["active", "maintenance"],
  terminating: [],
  "terminating-not-serving": [],
};

/** The state that was asked for does not follow on the one that the backend is in. */
export class BackendStateError extends Error {
  override readonly name = "BackendStateError";
  constructor(backend: string, from: InstanceState, to: AskedState) {
    const why = from.startsWith("terminating")
      ? "is terminating, and stays so until it is gone"
      : `is ${from === "maintenance" ? "in maintenance" : from}: ${to} follows on active alone`;
    super(`${backend} ${why}`);
  }
}

/** There is no such backend. */
export class NoBackendError extends Error {
  override readonly name = "NoBackendError";
}

export function isAllowed(from: InstanceState, to: AskedState): boolean {
  return ALLOWED[from].includes(to);
}

/** What a service's source says of a backend, and what was asked: who is in quarantine may end, who is in maintenance stays out. */
function stateOf(said: InstanceState, asked: OutState): InstanceState {
  return said === "active" || asked === "maintenance" ? asked : said;
}

interface Entry {
  readonly state: OutState;
  readonly services: Set<string>;
}

export class BackendStates {
  /** Of the snapshot. */
  readonly changes = new ChangeLog();
  readonly #entries = new Map<string, Entry>();
  /** Until all sources have been read it is not known who is gone. */
  #isRestoring = false;

  /** The services whose backends are others now. */
  set(key: string, state: AskedState, services: Iterable<string>): void {
    if (state === "active") this.#forget(key);
    else {
      this.#entries.set(key, { state, services: new Set(services) });
      this.changes.note(key, state);
    }
  }

  #forget(key: string): void {
    if (this.#entries.delete(key)) this.changes.note(key, null);
  }

  apply(instances: readonly Instance[]): readonly Instance[] {
    if (this.#entries.size === 0 || !instances.some(({ key }) => this.#entries.has(key))) return instances;
    return instances.map((instance) => {
      const asked = this.#entries.get(instance.key);
      return asked ? { ...instance, state: stateOf(instance.state, asked.state) } : instance;
    });
  }

  /** What these services have now; a backend that no service has any more is forgotten. */
  settle(services: Iterable<string>, instancesOf: (service: string) => readonly Instance[]): void {
    if (this.#entries.size === 0) return;
    for (const service of services) {
      const keys = new Set(instancesOf(service).map(({ key }) => key));
      for (const [key, entry] of this.#entries)
        if (keys.has(key)) entry.services.add(service);
        else entry.services.delete(service);
    }
    if (!this.#isRestoring) this.#forgetGone();
  }

  #forgetGone(): void {
    for (const [key, { services }] of [...this.#entries]) if (services.size === 0) this.#forget(key);
  }

  snapshot(): BackendStatesSnapshot {
    return [...this.#entries].map(([key, { state }]) => [key, state]);
  }

  /** Before anything is set. */
  restore(snapshot: BackendStatesSnapshot): void {
    this.#isRestoring = true;
    for (const [key, text] of snapshot) {
      const state = ASKED_STATES.find((each) => each === text);
      if (state && state !== "active") this.#entries.set(key, { state, services: new Set() });
    }
  }

  /** All sources have been read. */
  restored(): void {
    this.#isRestoring = false;
    this.#forgetGone();
  }
}
