/**
 * @module
 * Takes what is over out of the tables of flows, more often while there is much of it (Cilium's pkg/maps/ctmap/gc).
 */
import type { Datapath, TableUse } from "@skep/datapath";
import type { Clock } from "@skep/machine";
import { errorText, type Logger } from "./log.ts";

const FIRST_MS = 5 * 60_000;
const LEAST_MS = 10_000;
/** Cilium's for tables that are no LRU. */
const MOST_MS = 30 * 60_000;
const [MUCH, LITTLE] = [0.25, 0.05];
/** A table this full is looked after at once, and as often as can be. */
const TIGHT = 0.75;

/** Until the next look; `share`: what part of the fuller table was over. */
export function nextInterval(previousMs: number, share: number, pressure: number): number {
  if (pressure > TIGHT) return LEAST_MS;
  if (share > MUCH) return Math.max(LEAST_MS, Math.round(previousMs * (1 - Math.min(share, 0.9))));
  if (share < LITTLE) return Math.min(MOST_MS, Math.round(previousMs * 1.5));
  return previousMs;
}

export const pressureOf = ({ alive, capacity }: TableUse): number => alive / capacity;

const shareOf = ({ alive, removed }: TableUse): number => (alive + removed === 0 ? 0 : removed / (alive + removed));

/** By table. */
export interface CollectorTotals {
  runs: number;
  failures: number;
  /** Milliseconds that the last run took. */
  lastMs: number;
  readonly removed: Map<string, number>;
}

export class Collector {
  readonly totals: CollectorTotals = { runs: 0, failures: 0, lastMs: 0, removed: new Map() };
  readonly #datapath: Datapath;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #eachMs: number | null;
  #intervalMs: number;
  readonly #onRun: (isDone: boolean, milliseconds: number) => void;
  #timer: NodeJS.Timeout;
  #refused = new Map<string, number>();

  /** `eachMs`: always this long between two looks. */
  constructor(options: {
    readonly datapath: Datapath;
    readonly clock: Clock;
    readonly log: Logger;
    readonly onRun?: (isDone: boolean, milliseconds: number) => void;
    readonly eachMs?: number;
  }) {
    this.#eachMs = options.eachMs ?? null;
    this.#intervalMs = this.#eachMs ?? FIRST_MS;
    this.#onRun = options.onRun ?? (() => undefined);
    this.#datapath = options.datapath;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#timer = this.#later();
  }

  /** Of the process, not of the machine: a simulated one stands still between packets. */
  #later(): NodeJS.Timeout {
    return setTimeout(() => this.run(), this.#intervalMs).unref();
  }

  get intervalMs(): number {
    return this.#intervalMs;
  }

  /** Looks through the tables now, and chooses when to look again. */
  run(): void {
    clearTimeout(this.#timer);
    const start = this.#clock.monotonic();
    const took = (): number => Number(this.#clock.monotonic() - start) / 1_000_000;
    try {
      const uses = this.#datapath.collect();
      this.totals.runs += 1;
      this.totals.lastMs = took();
      this.#onRun(true, this.totals.lastMs);
      for (const use of uses) this.#note(use);
      const share = Math.max(...uses.map(shareOf));
      this.#intervalMs = this.#eachMs ?? nextInterval(this.#intervalMs, share, Math.max(...uses.map(pressureOf)));
    } catch (error) {
      this.totals.failures += 1;
      this.#onRun(false, took());
      this.#log.error("what is over stays in the tables of flows", { error: errorText(error) });
    }
    this.#timer = this.#later();
  }

  #note(use: TableUse): void {
    this.totals.removed.set(use.name, (this.totals.removed.get(use.name) ?? 0) + use.removed);
    const before = this.#refused.get(use.name) ?? use.refused;
    this.#refused.set(use.name, use.refused);
    if (use.refused === before) return;
    this.#log.warn("a table of flows had no room", {
      ...{ table: use.name, packets: use.refused - before, alive: use.alive, capacity: use.capacity },
    });
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}
