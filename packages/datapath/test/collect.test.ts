// The tables of flows, without a kernel.
import { describe } from "vitest";
import { openSim } from "@skep/sim";
import { collectSuite } from "./collect-suite.ts";

describe("tables of flows, simulated", () =>
  collectSuite(() => ({ machine: openSim({ seed: 3 }), pins: "/pins", close: () => undefined })));
