// Both IP families in one flow, without a kernel.
import { describe } from "vitest";
import { openSim } from "@skep/sim";
import { nat46x64Suite, nat46x64TunnelSuite } from "./nat46x64-suite.ts";

describe("NAT46/64, simulated", () =>
  nat46x64Suite(() => ({ machine: openSim({ seed: 4 }), pins: "/pins", close: () => undefined })));

describe("NAT46/64 to backends behind tunnels, simulated", () =>
  nat46x64TunnelSuite(() => ({ machine: openSim({ seed: 5 }), pins: "/pins", close: () => undefined })));
