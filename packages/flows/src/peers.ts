/** A node as Hubble's Peer service names it. */
export interface PeerRow {
  readonly name: string;
  /** Host and port, or `unix://PATH`; empty where none is known. */
  readonly address: string;
  /** Name in the node's certificate, where it speaks TLS. */
  readonly tlsServerName?: string;
}

/** A list that is followed. */
export interface Followed<T> {
  current(): readonly T[];
  /** Resolves at the next change after this call, or at the signal. */
  changed(signal: AbortSignal): Promise<void>;
}

export type PeerDirectory = Followed<PeerRow>;

/** A list, and those who wait for it to change. */
export class FollowedList<T> implements Followed<T> {
  #rows: readonly T[];
  readonly #waiting = new Set<() => void>();

  constructor(rows: readonly T[] = []) {
    this.#rows = rows;
  }

  current(): readonly T[] {
    return this.#rows;
  }

  set(rows: readonly T[]): void {
    this.#rows = rows;
    for (const wake of [...this.#waiting]) wake();
  }

  changed(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal.addEventListener("abort", wake, { once: true });
    });
  }
}

/** The same list, each row as `map` gives it. */
export function mapFollowed<T, U>(list: Followed<T>, map: (row: T) => U): Followed<U> {
  return { current: () => list.current().map(map), changed: (signal) => list.changed(signal) };
}

export class Peers extends FollowedList<PeerRow> {}
