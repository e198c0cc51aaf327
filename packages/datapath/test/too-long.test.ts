// What is too long for a tunnel, without a kernel.
import { describe } from "vitest";
import { openSim } from "@skep/sim";
import { tooLongSuite } from "./too-long-suite.ts";

describe("too long for a tunnel, simulated", () =>
  tooLongSuite(() => ({ machine: openSim({ seed: 3 }), pins: "/pins", close: () => undefined })));
