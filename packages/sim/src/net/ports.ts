import type { Random } from "../random.ts";
import { SimError } from "../error.ts";

/** net.ipv4.ip_local_port_range */
const [FIRST, LAST] = [32_768, 60_999];

/** Local ports of one transport. */
export class Ports {
  readonly #used = new Map<number, number>();
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  /** A free one, anywhere in the range. */
  allocate(): number {
    const range = LAST - FIRST + 1;
    const start = this.#random.next() % range;
    for (let tried = 0; tried < range; tried++) {
      const port = FIRST + ((start + tried) % range);
      if (this.#used.has(port)) continue;
      this.claim(port);
      return port;
    }
    throw new SimError("EADDRNOTAVAIL", "every port of the range is in use");
  }

  claim(port: number): void {
    this.#used.set(port, (this.#used.get(port) ?? 0) + 1);
  }

  release(port: number): void {
    const holders = (this.#used.get(port) ?? 0) - 1;
    if (holders > 0) this.#used.set(port, holders);
    else this.#used.delete(port);
  }
}
