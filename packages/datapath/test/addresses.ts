import { parseAddress, type Address } from "@skep/net";

export const ip = (text: string): Address => {
  const found = parseAddress(text);
  if (!found) throw new Error(`${text} is no address`);
  return found;
};

/** Options of a datapath whose maps need little room. */
export const SMALL = {
  loadBalancer: { maglevSize: 251 },
  maxEntries: Object.fromEntries(
    [
      "skep_backends",
      "skep_frontends",
      "skep_services",
      "skep_affinity",
      "skep_aff_match",
      "skep_sock_rev",
      "skep_nat",
      "skep_flow4",
      "skep_flow6",
    ].map((name) => [name, 256]),
  ),
};
