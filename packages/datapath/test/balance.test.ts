// Services packet by packet, without a kernel.
import { describe } from "vitest";
import { openSim } from "@skep/sim";
import { balanceSuite } from "./balance-suite.ts";

describe("services at tc, simulated", () =>
  balanceSuite(() => ({ machine: openSim({ seed: 3 }), pins: "/pins", close: () => undefined })));
