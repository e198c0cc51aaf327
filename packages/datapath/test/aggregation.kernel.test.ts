// What is told of packets, in the kernel.
import { setTimeout } from "node:timers/promises";
import { describe } from "vitest";
import { aggregationSuite } from "./aggregation-suite.ts";
import { linuxUnderTest, privileged } from "./linux-ground.ts";

describe.skipIf(!privileged)("what is told of packets, in the kernel", () =>
  aggregationSuite(["none", "medium"], { open: linuxUnderTest, aSecond: () => setTimeout(1_500) }),
);
