/**
 * @module
 * Egress gateways: what workloads send to which prefixes leaves by which node.
 */
import { formatPrefix } from "@skep/net";
import { EGRESS_EXCLUDED, EGRESS_HERE, EGRESS_NONE, EgressEntry, EgressKey } from "../bpf/egress.bpf.ts";
import { decodeAddress } from "../encode.ts";
import { addressText, table, text } from "./table.ts";

const [SOURCE_BITS, MAPPED_BITS] = [128, 96];

/** As Cilium prints them: an address of zeros says what is not there. */
function gatewayText({ kind, gateway }: EgressEntry): string {
  if (kind === EGRESS_NONE) return "Not Found";
  if (kind === EGRESS_EXCLUDED) return "Excluded CIDR";
  return kind === EGRESS_HERE ? "local" : addressText(gateway);
}

export const egress = table({
  name: "egress",
  summary: "egress gateways",
  map: "skep_egress",
  columns: [
    ["Source IP", text("source")],
    ["Destination CIDR", text("destination")],
    ["Egress IP", text("egressIp")],
    ["Gateway IP", text("gateway")],
  ],
  *rows(map) {
    for (const [rawKey, rawValue] of map.entries()) {
      const key = EgressKey.decode(rawKey);
      const value = EgressEntry.decode(rawValue);
      const address = decodeAddress(key.destination);
      const length = key.prefixLength - SOURCE_BITS - (address.family === 4 ? MAPPED_BITS : 0);
      yield {
        source: addressText(key.source),
        destination: formatPrefix({ address, length }),
        egressIp: addressText(value.address) || (address.family === 4 ? "0.0.0.0" : "::"),
        gateway: gatewayText(value),
      };
    }
  },
});
