// Dual stack and masquerading without a kernel.
import { describe } from "vitest";
import { simCluster } from "./cluster-lab.ts";
import { masqueradeSuite } from "./masquerade-suite.ts";

describe("on the simulated machine", () => masqueradeSuite(simCluster));
