/**
 * An IP address. `bytes` has 4 or 16 bytes in network order. Compare with `sameAddress`, use `formatAddress` as a key.
 */
export interface Address {
  readonly family: 4 | 6;
  readonly bytes: Uint8Array;
}

/** A CIDR prefix; host bits are zero unless it stands for an interface's address. */
export interface Prefix {
  readonly address: Address;
  readonly length: number;
}

/** Six bytes. */
export type Mac = Uint8Array;
