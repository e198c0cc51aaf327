// Services packet by packet, in the kernel.
import { describe } from "vitest";
import { balanceSuite } from "./balance-suite.ts";
import { linuxUnderTest, privileged } from "./linux-ground.ts";

describe.skipIf(!privileged)("services at tc, in the kernel", () => balanceSuite(linuxUnderTest));
