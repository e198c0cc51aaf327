// What is told of packets, without a kernel.
import { openSim } from "@skep/sim";
import { describe } from "vitest";
import { aggregationSuite } from "./aggregation-suite.ts";

describe("what is told of packets, simulated", () => {
  const machine = openSim({ seed: 3 });
  let opened = 0;
  aggregationSuite(["none", "low", "medium", "maximum"], {
    open: () => ({ machine, pins: `/pins${++opened}`, close: () => undefined }),
    aSecond: () => machine.simulation.pass(1_500),
  });
});
