// Both IP families in one flow, in the kernel.
import { describe } from "vitest";
import { linuxUnderTest, privileged } from "./linux-ground.ts";
import { nat46x64Suite, nat46x64TunnelSuite } from "./nat46x64-suite.ts";

describe.skipIf(!privileged)("NAT46/64, in the kernel", () => nat46x64Suite(linuxUnderTest));
describe.skipIf(!privileged)("NAT46/64 to backends behind tunnels, in the kernel", () =>
  nat46x64TunnelSuite(linuxUnderTest),
);
