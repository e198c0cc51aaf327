/**
 * @module
 * Rows of egress gateways as the programs read them.
 */
import type { EgressRow } from "@skep/control";
import { EGRESS_EXCLUDED, EGRESS_HERE, EGRESS_NONE, EGRESS_THERE, EgressEntry, EgressKey } from "./bpf/egress.bpf.ts";
import { encodeAddress, keyText } from "./encode.ts";

const NOBODY = { w0: 0, w1: 0, w2: 0, w3: 0 };
/** Bits of the source, and of what stands before an IPv4 address. */
const [SOURCE_BITS, MAPPED_BITS] = [128, 96];

export function egressEntry({ source, destination, way }: EgressRow): [string, [Uint8Array, Uint8Array]] {
  const { address, length } = destination;
  const key = EgressKey.encode({
    prefixLength: SOURCE_BITS + (address.family === 4 ? MAPPED_BITS : 0) + length,
    source: encodeAddress(source),
    destination: encodeAddress(address),
  });
  return [keyText(key), [key, EgressEntry.encode(valueOf(way))]];
}

function valueOf(way: EgressRow["way"]): EgressEntry {
  switch (way.kind) {
    case "excluded":
      return { kind: EGRESS_EXCLUDED, gateway: NOBODY, address: NOBODY };
    case "none":
      return { kind: EGRESS_NONE, gateway: NOBODY, address: NOBODY };
    case "there":
      return { kind: EGRESS_THERE, gateway: encodeAddress(way.gateway), address: NOBODY };
    case "here":
      return { kind: EGRESS_HERE, gateway: NOBODY, address: way.address ? encodeAddress(way.address) : NOBODY };
  }
}
