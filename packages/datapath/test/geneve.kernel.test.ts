// Services told by tunnels, in the kernel.
import { describe } from "vitest";
import { geneveSuite } from "./geneve-suite.ts";
import { linuxUnderTest, privileged } from "./linux-ground.ts";

describe.skipIf(!privileged)("services told by tunnels, in the kernel", () => geneveSuite(linuxUnderTest));
