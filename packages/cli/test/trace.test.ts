// Packets traced without a kernel.
import { describe } from "vitest";
import { simCluster } from "../../agent/test/cluster-lab.ts";
import { traceSuite } from "./trace-suite.ts";

describe("on the simulated machine", () => traceSuite(simCluster, () => "/sys/fs/bpf/skep"));
