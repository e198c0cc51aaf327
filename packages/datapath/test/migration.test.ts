// Maps of another version, without a kernel.
import { openSim } from "@skep/sim";
import { describe } from "vitest";
import { migrationSuite } from "./migration-suite.ts";

describe("maps of another version, simulated", () =>
  migrationSuite(() => ({ machine: openSim({ seed: 3 }), pins: "/pins", close: () => undefined })));
