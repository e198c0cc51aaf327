import { formatPrefix } from "@skep/net";
import { describe, expect, it } from "vitest";
import { ownPrefixes } from "./records.ts";

const given = { podCidr: "10.244.0.0/16", podCidr6: "fd00:10:244::/112", serviceCidr: "10.96.0.0/16" };

describe("an agent's prefixes", () => {
  it("are those of the options, also without IPv6", () => {
    const { podCidr, podCidr6, serviceCidr } = ownPrefixes(given);
    const texts = [podCidr, podCidr6, serviceCidr].map((prefix) => prefix && formatPrefix(prefix));
    expect(texts).toEqual(Object.values(given));
    expect(ownPrefixes({ podCidr: given.podCidr, serviceCidr: given.serviceCidr })).not.toHaveProperty("podCidr6");
  });

  it.each([
    [{ podCidr: "10.244.0.0/33" }, '"10.244.0.0/33" is no prefix'],
    [{ podCidr: "fd00::/64" }, "fd00::/64 is no prefix of IPv4, for workloads"],
    [{ podCidr6: "10.0.0.0/24" }, "10.0.0.0/24 is no prefix of IPv6, for workloads"],
    [{ serviceCidr: "10.244.3.0/24" }, "10.244.3.0/24, for services, and 10.244.0.0/16, for workloads, have addresses"],
    [{ serviceCidr: "10.0.0.0/8" }, "have addresses in common"],
    [{ serviceCidr: "fd00:10:244::/112" }, "have addresses in common"],
  ])("%j is refused", (over, message) => {
    expect(() => ownPrefixes({ ...given, ...over })).toThrow(message);
  });
});
