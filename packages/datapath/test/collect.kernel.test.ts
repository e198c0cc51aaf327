// The tables of flows, in the kernel.
import { describe } from "vitest";
import { collectSuite } from "./collect-suite.ts";
import { linuxUnderTest, privileged } from "./linux-ground.ts";

describe.skipIf(!privileged)("tables of flows, in the kernel", () => collectSuite(linuxUnderTest));
