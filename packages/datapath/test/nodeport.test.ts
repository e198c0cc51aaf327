// Services from outside of the node, without a kernel.
import { describe } from "vitest";
import { openSim } from "@skep/sim";
import { nodePortSuite, tunnelSuite } from "./nodeport-suite.ts";

describe("services from outside, simulated", () =>
  nodePortSuite(() => ({ machine: openSim({ seed: 4 }), pins: "/pins", close: () => undefined })));

describe("tunnels to backends, simulated", () =>
  tunnelSuite(() => ({ machine: openSim({ seed: 4 }), pins: "/pins", close: () => undefined })));
