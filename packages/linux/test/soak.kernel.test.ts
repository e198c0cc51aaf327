import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { canUseBpf } from "../src/bpf/testing.ts";
import { openDescriptors } from "../src/sys/index.ts";
import { sample, Soak } from "./soak.ts";

const enabled = canUseBpf() && process.getuid?.() === 0;

// The long one is `npm run report -- soak`.
describe.skipIf(!enabled)("opening and closing everything", () => {
  let soak: Soak;
  beforeAll(() => {
    soak = new Soak();
  });
  afterAll(() => {
    if (enabled) soak.close();
  });

  test("leaves every descriptor, mapping and mount as it was, and memory nearly so", async () => {
    for (let warm = 0; warm < 3; warm++) await soak.round();
    const before = sample(soak);
    for (let round = 0; round < 8; round++) {
      await soak.round();
      const { descriptors, owned, mappings, mounts } = sample(soak);
      expect({ descriptors, owned, mappings, mounts }).toEqual({
        descriptors: before.descriptors,
        owned: before.owned,
        mappings: before.mappings,
        mounts: before.mounts,
      });
    }
    expect(sample(soak).resident - before.resident).toBeLessThan(64 << 20);
    expect(soak.counts["maps"]).toBeGreaterThan(1000);
    expect(openDescriptors()).toBe(0);
  });
});
