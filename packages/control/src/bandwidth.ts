/** Rates of a workload's wire, bytes a second. */
export interface Bandwidth {
  readonly egress?: number;
  readonly ingress?: number;
}

/** A rate that is none. */
export class BandwidthError extends RangeError {
  override readonly name = "BandwidthError";
}

const UNITS: Readonly<Record<string, number>> = {
  ...{ "": 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12 },
  ...{ Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40 },
};
/** Slower than this a packet takes longer than the longest delay. */
const LEAST = 1000;

/** A quantity of Kubernetes, bits a second as `10M`, in bytes. Throws BandwidthError. */
export function parseBandwidth(text: string): number {
  const [, digits = "", unit = ""] = /^([0-9]+(?:\.[0-9]+)?)([kMGT]i?|Ki)?$/.exec(text.trim()) ?? [];
  const factor = UNITS[unit];
  const bytes = digits === "" || factor === undefined ? Number.NaN : Math.floor((Number(digits) * factor) / 8);
  if (!(bytes >= LEAST)) throw new BandwidthError(`${JSON.stringify(text)} is no rate: write bits a second, as 10M`);
  return bytes;
}

/** What a pod's annotations say of it; null where they say nothing. Throws BandwidthError. */
export function bandwidthOf(annotations: Readonly<Record<string, string>>): Bandwidth | null {
  const egress = annotations["kubernetes.io/egress-bandwidth"];
  const ingress = annotations["kubernetes.io/ingress-bandwidth"];
  if (egress === undefined && ingress === undefined) return null;
  return {
    ...(egress === undefined ? {} : { egress: parseBandwidth(egress) }),
    ...(ingress === undefined ? {} : { ingress: parseBandwidth(ingress) }),
  };
}
