import { describe, expect, it } from "vitest";
import { canUseBpf } from "../privilege.ts";
import { kernelSession } from "./kernel-session.ts";
import { runSeed } from "./session.ts";

describe.skipIf(!canUseBpf())("random programs in the kernel", () => {
  for (const [cpu, optimize] of [
    [3, 2],
    [4, 2],
    [3, 1],
    [3, 0],
  ] as const) {
    for (const seed of [101, 202]) {
      it(`seed ${seed}, v${cpu}, optimize ${optimize}`, () => {
        const session = { ...kernelSession({ functions: 4, programs: 12 }), emit: { cpu, optimize } };
        const { agreed, leftOut, failures } = runSeed(seed + cpu * 10 + optimize, session);
        expect(failures).toEqual([]);
        expect(agreed.length + leftOut.length).toBe(16);
      });
    }
  }
});
