// Services told by tunnels, without a kernel.
import { describe } from "vitest";
import { openSim } from "@skep/sim";
import { geneveSuite } from "./geneve-suite.ts";

describe("services told by tunnels, simulated", () =>
  geneveSuite(() => ({ machine: openSim({ seed: 4 }), pins: "/pins", close: () => undefined })));
