/**
 * @module
 * Where the example plays: on the real machine or on the simulated one.
 */
import type { PageOptions } from "@skep/agent";
import type { Answer, Order } from "./workload.ts";

/** Header of an answer: the address that the server saw. */
export const SEEN_AS = "x-seen-as";

/** What a server says; `size`: with so many bytes in all. */
export function landed(name: string, size = 0): string {
  return `${name}: ship landed\n`.padEnd(size, ".");
}

/** What the example reads of a line of `skep observe -o json`. */
export interface SeenFlow {
  readonly verdict?: string;
  readonly drop_reason?: number;
  readonly is_reply?: boolean;
  readonly traffic_direction?: string;
  readonly source?: { readonly pod_name?: string; readonly labels?: readonly string[] };
  readonly destination?: { readonly pod_name?: string };
  readonly l4?: { readonly TCP?: { readonly destination_port?: number; readonly source_port?: number } };
}

export interface Player {
  readonly name: string;
  /** `port` 80 and `timeout` 1000 ms unless given. */
  order(
    kind: Order["kind"],
    host: string,
    options?: { readonly port?: number; readonly timeout?: number },
  ): Promise<Answer>;
}

export type Labels = Readonly<Record<string, string>>;

export interface Theatre {
  /** Raises the agent on a folder with these documents. Throws where it does not come up. */
  open(documents: Labels, onFlow: (flow: SeenFlow) => void): Promise<void>;
  server(name: string, labels: Labels): void;
  pilot(name: string, labels: Labels): Player;
  writePolicy(name: string, text: string): void;
  addressOf(workload: string): Promise<string>;
  /** Milliseconds of the theatre's own time. */
  now(): number;
  /** Asks again until the answer is not null, or the time is over. */
  until<T>(ms: number, ask: () => Promise<T | null> | T | null): Promise<T | null>;
  /** Lets time go on until the play is over. */
  run<T>(play: Promise<T>): Promise<T>;
  /** What can be done with it afterwards, besides looking at its page; null: nothing. */
  readonly invitation: string | null;
  /** The API behind the page. */
  readonly page: PageOptions["routes"];
  /** Lets time go on as it passes, until the signal. */
  stay(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
