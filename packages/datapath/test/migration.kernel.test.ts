// Maps of another version, in the kernel.
import { describe } from "vitest";
import { linuxUnderTest, privileged } from "./linux-ground.ts";
import { migrationSuite } from "./migration-suite.ts";

describe.skipIf(!privileged)("maps of another version, in the kernel", () => migrationSuite(linuxUnderTest));
