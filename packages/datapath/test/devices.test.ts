// Devices that go and come again, without a kernel.
import { openSim } from "@skep/sim";
import { describe } from "vitest";
import { devicesSuite } from "./devices-suite.ts";

describe("devices that go and come again, simulated", () =>
  devicesSuite(() => ({ machine: openSim({ seed: 3 }), pins: "/pins", close: () => undefined }), { netkit: true }));
