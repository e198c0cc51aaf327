/**
 * @module
 * Connected sockets whose backend has gone are ended, so that their owners are told: a datagram's sender would never hear of it.
 */
import type { LoadBalancerChange } from "@skep/control";
import type { Datapath } from "@skep/datapath";
import type { ConnectedSocket, Namespace } from "@skep/machine";
import { errorText, type Logger } from "./log.ts";

type Protocol = ConnectedSocket["protocol"];

export interface LostSocketsOptions {
  readonly datapath: Datapath;
  readonly protocols: readonly Protocol[];
  /** Of the host and the workloads. */
  readonly namespaces: () => Iterable<Namespace>;
  readonly log: Logger;
}

const NUMBERS = { tcp: 6, udp: 17 } as const;
/** States of backends that serve nobody: quarantined, in maintenance. */
const isOut = (state: number): boolean => state >= 2;

export class LostSockets {
  readonly #options: LostSocketsOptions;
  /** Those whose sockets are to be looked at. */
  readonly #due: Set<Protocol>;
  #problem = "";

  constructor(options: LostSocketsOptions) {
    this.#options = options;
    // What went while no agent was there.
    this.#due = new Set(options.protocols);
  }

  /** Of the load balancer, applied or about to be; null: anything may have changed. */
  note(change: LoadBalancerChange | null): void {
    for (const protocol of this.#options.protocols) {
      const number = NUMBERS[protocol];
      const isTouched =
        change === null ||
        change.removed.backends.some((row) => row.protocol === number) ||
        change.written.backends.some((row) => row.protocol === number && isOut(row.state));
      if (isTouched) this.#due.add(protocol);
    }
  }

  /** The maps are as control wants them. */
  settle(): void {
    const { datapath, namespaces, log } = this.#options;
    for (const protocol of this.#due) {
      try {
        const ended = datapath.endLost(namespaces(), protocol);
        if (ended > 0) log.info("ended sockets whose backend is gone", { protocol, sockets: ended });
        this.#problem = "";
      } catch (error) {
        const text = errorText(error);
        if (text !== this.#problem) log.warn("sockets whose backend is gone stay", { protocol, error: text });
        this.#problem = text;
      }
    }
    this.#due.clear();
  }
}
