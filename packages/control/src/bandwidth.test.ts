import { describe, expect, it } from "vitest";
import { BandwidthError, bandwidthOf, parseBandwidth } from "./bandwidth.ts";

describe("rates", () => {
  it("are bits a second, in units of ten or two", () => {
    const rates = {
      "10M": 1_250_000,
      "8k": 1000,
      "1.5G": 187_500_000,
      "1Mi": 131_072,
      "8000": 1000,
      "1Gi": 134_217_728,
    };
    for (const [text, bytes] of Object.entries(rates)) expect(parseBandwidth(text)).toBe(bytes);
    for (const text of ["", "M", "10MB", "-1M", "1e6", "7999", "0"])
      expect(() => parseBandwidth(text)).toThrow(BandwidthError);
  });

  it("come from a pod's annotations", () => {
    expect(bandwidthOf({ other: "1" })).toBeNull();
    expect(bandwidthOf({ "kubernetes.io/ingress-bandwidth": "8M" })).toEqual({ ingress: 1_000_000 });
  });
});
