// Egress gateways without a kernel.
import { describe } from "vitest";
import { simCluster } from "./cluster-lab.ts";
import { egressSuite } from "./egress-suite.ts";

describe("egress gateways, simulated", () => egressSuite(simCluster));
