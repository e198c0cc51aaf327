// Every drop code of the table, in the kernel.
import { describe } from "vitest";
import { dropsSuite } from "./drops-suite.ts";
import { linuxUnderTest, privileged } from "./linux-ground.ts";

describe.skipIf(!privileged)("drop codes, in the kernel", () => dropsSuite(linuxUnderTest));
