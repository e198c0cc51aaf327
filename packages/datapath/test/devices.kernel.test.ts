// Devices that go and come again, in the kernel.
import { describe } from "vitest";
import { devicesSuite } from "./devices-suite.ts";
import { linuxUnderTest, privileged } from "./linux-ground.ts";

describe.skipIf(!privileged)("devices that go and come again, in the kernel", () =>
  devicesSuite(() => linuxUnderTest({ ownHost: true })),
);
