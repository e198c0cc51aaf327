/**
 * @module
 * Rows into maps: brings the datapath to what control says, by what has changed; at the start, after an error and now and then by all of it. What
 * fails keeps its old state or denies; it is tried again, and told.
 */
import { type Endpoint, HOST_ENDPOINT, type LoadBalancerChange, type World } from "@skep/control";
import type { Datapath } from "@skep/datapath";
import { errorText, type Logger } from "./log.ts";
import type { LostSockets } from "./lost-sockets.ts";
import type { NextHops } from "./next-hops.ts";
import type { NodeRoutes } from "./nodes.ts";
import type { Row } from "./records.ts";
import type { StateFolder } from "./state.ts";

export interface ReconcilerOptions {
  readonly world: World;
  readonly datapath: Pick<
    Datapath,
    | "setPolicy"
    | "setPolicies"
    | "updatePolicy"
    | "setEndpoint"
    | "syncIpcache"
    | "updateIpcache"
    | "syncEgress"
    | "syncLoadBalancer"
    | "replaceLoadBalancer"
  >;
  readonly state: Pick<StateFolder, "keepNumbers">;
  readonly log: Logger;
  /** By endpoint; the agent's own. */
  readonly rows: ReadonlyMap<number, Row>;
  readonly nodeRoutes: Pick<NodeRoutes, "sync">;
  /** Null: nothing comes in from outside. */
  readonly nextHops: NextHops | null;
  readonly lostSockets: Pick<LostSockets, "note" | "settle">;
  readonly hostFirewall: boolean;
  /** The node's interfaces and their addresses, those that packets leave by first; null: nothing is asked of them. */
  readonly interfaces: (() => Parameters<World["setInterfaces"]>[0]) | null;
  /** An endpoint's rows were written, or not; how long that took. */
  readonly onRegenerated?: (isDone: boolean, milliseconds: number) => void;
  /** Called after every attempt. */
  readonly onApplied: () => void;
}

/** Among what is not in force. */
export const ROUTES = "the routes to other nodes";

const RETRY_FIRST_MS = 250;
const RETRY_LAST_MS = 10_000;
/** Between two looks at everything. */
const WHOLE_MS = 10 * 60_000;

export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #world: World;
  readonly #datapath: ReconcilerOptions["datapath"];
  readonly #log: Logger;
  #hostApplied = "";
  /** Of the host's policy, as a row's. */
  #hostVersion = 0;
  /** The load balancer's maps are as control last said. */
  #balanced = false;
  #applied = 0;
  #waiting: (() => void)[] = [];
  #retry: NodeJS.Timeout | undefined;
  #retryMs = RETRY_FIRST_MS;
  #failures = new Map<string, string>();
  #waysProblem = "";
  /** Everything is looked at: what is in the maps is not known to be what was said before. */
  #isWholeDue = true;
  /** The last attempt came to its end, whatever failed in it. */
  #isFinished = false;
  readonly #whole: NodeJS.Timeout;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#world = options.world;
    this.#datapath = options.datapath;
    this.#log = options.log;
    this.#whole = setInterval(() => this.#applyAll(), WHOLE_MS).unref();
  }

  /** Brings the maps to what control says. What fails is retried; its row says why. */
  apply(): void {
    clearTimeout(this.#retry);
    const world = this.#world;
    const isWhole = this.#isWholeDue || !this.#isFinished;
    // Changes that were taken and not applied are not told again.
    if (!this.#isFinished) this.#balanced = false;
    this.#isFinished = false;
    this.#settle(isWhole);
    const changes = world.loadBalancerChanges();
    this.#options.state.keepNumbers(world);
    const failures = new Map<string, string>();
    const attempt = (what: string, run: () => void): void => {
      try {
        run();
      } catch (error) {
        failures.set(what, errorText(error));
      }
    };
    const revision = world.revision;
    const swapped = this.#swapPolicies();
    // A new identity is in the policies before an address has it; a gone one leaves its address first.
    if (this.#options.hostFirewall) attempt("the host's policy", () => this.#applyHost());
    for (const [endpoint, row] of this.#endpointRows()) {
      if (this.#isInForce(endpoint, row)) row.revision = revision;
      else attempt(`endpoint ${endpoint.id}`, () => this.#applyEndpoint(endpoint, row, swapped));
    }
    attempt(ROUTES, () => {
      if (this.#options.nodeRoutes.sync(world.nodes.remote())) this.lookForWays();
    });
    attempt("ipcache", () => this.#applyIpcache(isWhole));
    const { interfaces } = this.#options;
    if (interfaces) {
      attempt("egress gateways", () => {
        world.setInterfaces(interfaces());
        this.#datapath.syncEgress(world.egress());
      });
    }
    attempt("services", () => this.#applyLoadBalancer(changes));
    this.#settleFailures(failures);
    this.#isWholeDue = failures.size > 0;
    this.#isFinished = true;
    this.#options.onApplied();
    if (failures.size > 0) return;
    this.#applied = revision;
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #settle(isWhole: boolean): void {
    if (!isWhole) {
      this.#world.settle();
      return;
    }
    this.#world.settleWhole();
    this.#hostVersion = 0;
    for (const row of this.#options.rows.values()) row.written = null;
  }

  #applyIpcache(isWhole: boolean): void {
    const changes = this.#world.ipcacheChanges();
    if (changes === null || isWhole) this.#datapath.syncIpcache(this.#world.ipcache());
    else if (changes.written.length + changes.removed.length > 0) this.#datapath.updateIpcache(changes);
  }

  /** The check of all that nobody is known to have changed. */
  #applyAll(): void {
    this.#isWholeDue = true;
    try {
      this.apply();
    } catch (error) {
      this.#log.error("the maps were not looked through", { error: errorText(error) });
    }
  }

  /** What is not in force yet, and why. */
  get failures(): ReadonlyMap<string, string> {
    return this.#failures;
  }

  /** The revision that is in force everywhere. */
  get appliedRevision(): number {
    return this.#applied;
  }

  /** Resolves when the revision is in force everywhere, or at the signal. */
  async waitForRevision(revision: number, signal: AbortSignal): Promise<number> {
    while (this.#applied < revision && !signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
    }
    return this.#applied;
  }

  /** The programs' ways for what comes in for a service. What cannot be said to them stays as it was. */
  lookForWays(): void {
    const { nextHops } = this.#options;
    if (!nextHops) return;
    try {
      nextHops.refresh(() => new Set(this.#world.endpoints().map(({ interfaceIndex }) => interfaceIndex)));
      this.#waysProblem = "";
    } catch (error) {
      const text = errorText(error);
      if (text !== this.#waysProblem)
        this.#log.error("the host's routes are not in force for services", { error: text });
      this.#waysProblem = text;
    }
  }

  close(): void {
    clearTimeout(this.#retry);
    clearInterval(this.#whole);
    this.#options.nextHops?.close();
  }

  /** Step by step; after a start, or a step that failed, the whole. */
  #applyLoadBalancer(changes: readonly LoadBalancerChange[]): void {
    const { lostSockets } = this.#options;
    if (this.#balanced) {
      this.#balanced = false;
      for (const change of changes) {
        lostSockets.note(change);
        this.#datapath.syncLoadBalancer(change);
      }
    } else {
      lostSockets.note(null);
      this.#datapath.replaceLoadBalancer(this.#world.loadBalancerRows());
    }
    this.#balanced = true;
    lostSockets.settle();
  }

  /**
   * Policies that change as a whole, all at once: the kernel is waited for once. What fails here is tried one by one. What each of them took, in
   * milliseconds: the same part of the whole.
   */
  #swapPolicies(): ReadonlyMap<Row, number> {
    const start = performance.now();
    const changed = this.#endpointRows().flatMap(([endpoint, row]) => {
      if (this.#isInForce(endpoint, row)) return [];
      const change = this.#world.policyChange(endpoint, row.version);
      return change.kind === "whole" ? [{ row, change }] : [];
    });
    if (changed.length < 2) return new Map();
    for (const { row } of changed) {
      row.version = 0;
      row.written = null;
    }
    try {
      this.#datapath.setPolicies(changed.map(({ change }) => change.policy));
    } catch (error) {
      this.#log.warn("policies are written one by one", { error: errorText(error) });
      return new Map();
    }
    for (const { row, change } of changed) row.version = change.version;
    const each = (performance.now() - start) / changed.length;
    return new Map(changed.map(({ row }) => [row, each]));
  }

  #endpointRows(): (readonly [Endpoint, Row])[] {
    return this.#world.endpoints().flatMap((endpoint) => {
      const row = this.#options.rows.get(endpoint.id);
      return row ? [[endpoint, row] as const] : [];
    });
  }

  /** Nothing of it is to be written. */
  #isInForce(endpoint: Endpoint, row: Row): boolean {
    if (row.written !== endpoint || row.status.state === "not-ready") return false;
    return row.version !== 0 && this.#world.policyVersion(endpoint) === row.version;
  }

  /** `swapped`: milliseconds that policies took which are written already. */
  #applyEndpoint(endpoint: Endpoint, row: Row, swapped: ReadonlyMap<Row, number>): void {
    const start = performance.now() - (swapped.get(row) ?? 0);
    const { onRegenerated } = this.#options;
    try {
      const change = this.#world.policyChange(endpoint, row.version);
      const isWritten = row.written === endpoint;
      // Half a change is none: until it is whole the next try writes everything.
      row.version = 0;
      row.written = null;
      if (change.kind === "whole") this.#datapath.setPolicy(change.policy);
      if (change.kind === "delta") this.#datapath.updatePolicy(endpoint.id, change.delta);
      if (!isWritten) this.#datapath.setEndpoint(endpoint);
      row.written = endpoint;
      row.version = change.version;
      row.revision = this.#world.revision;
      const enforced = this.#world.enforced(endpoint);
      row.ingressEnforced = enforced.ingress;
      row.egressEnforced = enforced.egress;
      if (row.status.state === "not-ready") row.status = { state: "ready", reason: "" };
      if (change.kind !== "none" || !isWritten) onRegenerated?.(true, performance.now() - start);
    } catch (error) {
      onRegenerated?.(false, performance.now() - start);
      // The old policy stays in force, or none: then nothing passes.
      row.status = { state: "not-ready", reason: errorText(error) };
      throw error;
    }
  }

  /** The host's endpoint stands under interface 0. */
  #applyHost(): void {
    const { kind, version } = this.#world.hostPolicyChange(this.#hostVersion);
    if (kind === "none") return;
    const policy = this.#world.hostPolicy();
    const text = JSON.stringify(policy.entries);
    this.#hostVersion = version;
    if (text === this.#hostApplied) return;
    // Until it is whole the next try writes everything.
    this.#hostVersion = 0;
    this.#hostApplied = "";
    this.#datapath.setPolicy(policy);
    const nobody = new Uint8Array(6);
    this.#datapath.setEndpoint({
      ...{ id: HOST_ENDPOINT, identity: 1, address: this.#world.pods.gateway },
      ...{ interfaceName: "", interfaceIndex: 0, mac: nobody, hostMac: nobody },
    });
    this.#hostApplied = text;
    this.#hostVersion = version;
  }

  #settleFailures(failures: Map<string, string>): void {
    for (const [what, error] of failures) {
      if (this.#failures.get(what) !== error)
        this.#log.error(`not in force: ${what}; what was before stays`, { error });
    }
    this.#failures = failures;
    if (failures.size === 0) {
      this.#retryMs = RETRY_FIRST_MS;
      return;
    }
    this.#retry = setTimeout(() => this.apply(), this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_LAST_MS);
  }
}
