// Several hosts without a kernel.
import { describe } from "vitest";
import { simCluster } from "./cluster-lab.ts";
import { nodesSuite } from "./nodes-suite.ts";

describe("on the simulated machine", () => nodesSuite(simCluster, ["vxlan", "geneve"]));
