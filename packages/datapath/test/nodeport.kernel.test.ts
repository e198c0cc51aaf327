// Services from outside of the node, in the kernel.
import { describe } from "vitest";
import { linuxUnderTest, privileged } from "./linux-ground.ts";
import { nodePortSuite, tunnelSuite } from "./nodeport-suite.ts";

describe.skipIf(!privileged)("services from outside, in the kernel", () => nodePortSuite(linuxUnderTest));

describe.skipIf(!privileged)("tunnels to backends, in the kernel", () => tunnelSuite(linuxUnderTest));
