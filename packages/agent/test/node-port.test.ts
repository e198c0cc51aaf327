// Services from outside without a kernel.
import { describe } from "vitest";
import { simCluster } from "./cluster-lab.ts";
import { nodePortSuite } from "./node-port-suite.ts";

describe("on the simulated machine", () => nodePortSuite(simCluster));
