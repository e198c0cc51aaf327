import {
  addressAt,
  type Address,
  formatAddress,
  formatPrefix,
  type Prefix,
  prefixContains,
  prefixSize,
} from "@skep/net";

/** No free address is left in the prefix. */
export class AddressesExhaustedError extends Error {
  override readonly name = "AddressesExhaustedError";
  constructor(prefix: Prefix) {
    super(`every address of ${formatPrefix(prefix)} is in use: remove workloads, or give a larger prefix`);
  }
}

/** The address is outside the prefix, reserved, or another's. */
export class AddressTakenError extends Error {
  override readonly name = "AddressTakenError";
}

/**
 * Addresses of one prefix. The first is the network's, the second the gateway's, the last the broadcast's: workloads get the others,
 * in turn, so that a released one rests as long as possible.
 */
export class AddressPool {
  readonly prefix: Prefix;
  readonly gateway: Address;
  readonly #used = new Set<string>();
  readonly #last: bigint;
  #next = 2n;
  /** Addresses given or taken over, and given back, so far. */
  readonly counts = { allocated: 0, released: 0 };

  constructor(prefix: Prefix) {
    const size = prefixSize(prefix);
    const gateway = addressAt(prefix, 1n);
    if (size < 4n || !gateway)
      throw new RangeError(`${formatPrefix(prefix)} is too small for a gateway and a workload`);
    this.prefix = prefix;
    this.gateway = gateway;
    this.#last = size - 2n;
  }

  /** How many can be given. */
  get capacity(): bigint {
    return this.#last - 1n;
  }

  allocate(): Address {
    const tries = BigInt(this.#used.size) + 1n;
    for (let tried = 0n; tried < tries; tried++) {
      const address = addressAt(this.prefix, this.#next);
      this.#next = this.#next >= this.#last ? 2n : this.#next + 1n;
      if (!address || this.#used.has(formatAddress(address))) continue;
      this.#used.add(formatAddress(address));
      this.counts.allocated += 1;
      return address;
    }
    throw new AddressesExhaustedError(this.prefix);
  }

  /** Takes one that is known already. Throws AddressTakenError. */
  claim(address: Address): void {
    const text = formatAddress(address);
    if (!prefixContains(this.prefix, address))
      throw new AddressTakenError(`${text} is not in ${formatPrefix(this.prefix)}`);
    if (this.#used.has(text) || text === formatAddress(this.gateway)) throw new AddressTakenError(`${text} is in use`);
    this.#used.add(text);
    this.counts.allocated += 1;
  }

  isUsed(address: Address): boolean {
    const text = formatAddress(address);
    return this.#used.has(text) || text === formatAddress(this.gateway);
  }

  release(address: Address): void {
    if (this.#used.delete(formatAddress(address))) this.counts.released += 1;
  }

  get used(): number {
    return this.#used.size;
  }

  /** How far allocation has come, so that a restart does not hand out at once what was just released. */
  get position(): string {
    return this.#next.toString();
  }

  set position(text: string) {
    const next = BigInt(text);
    this.#next = next >= 2n && next <= this.#last ? next : 2n;
  }
}
