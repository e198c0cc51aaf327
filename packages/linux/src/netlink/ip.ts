import type { Address, Prefix } from "@skep/net";
import { type Codec, MalformedMessageError } from "./codec.ts";

/** AF_* of <sys/socket.h>. */
export const families = { unspecified: 0, inet: 2, bridge: 7, inet6: 10 } as const;

export const familyOf = (address: Address): number => (address.family === 4 ? families.inet : families.inet6);

/** An address attribute; its length says the family. */
export const ipAddress: Codec<Address> = {
  encode: (value) => value.bytes,
  decode(bytes) {
    if (bytes.length !== 4 && bytes.length !== 16) throw new MalformedMessageError(`address of ${bytes.length} bytes`);
    return { family: bytes.length === 4 ? 4 : 6, bytes: bytes.slice() };
  },
};

/** `0.0.0.0/0` or `::/0`: what the kernel leaves out. */
export function anyPrefix(family: number): Prefix {
  return family === families.inet
    ? { address: { family: 4, bytes: new Uint8Array(4) }, length: 0 }
    : { address: { family: 6, bytes: new Uint8Array(16) }, length: 0 };
}

/** All bits zero: the unspecified address. */
export const isUnspecified = (address: Address): boolean => address.bytes.every((byte) => byte === 0);
