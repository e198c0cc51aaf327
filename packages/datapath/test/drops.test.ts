// Every drop code of the table, without a kernel.
import { describe } from "vitest";
import { openSim } from "@skep/sim";
import { dropsSuite } from "./drops-suite.ts";

describe("drop codes, simulated", () =>
  dropsSuite(() => ({ machine: openSim({ seed: 3 }), pins: "/pins", close: () => undefined })));
