// What is too long for a tunnel, in the kernel.
import { describe } from "vitest";
import { linuxUnderTest, privileged } from "./linux-ground.ts";
import { tooLongSuite } from "./too-long-suite.ts";

describe.skipIf(!privileged)("too long for a tunnel, in the kernel", () => tooLongSuite(linuxUnderTest));
