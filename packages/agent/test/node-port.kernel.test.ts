// Services from outside, with hosts that are namespaces of the kernel.
import { describe } from "vitest";
import { linuxCluster } from "./cluster-lab.ts";
import { nodePortSuite } from "./node-port-suite.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: services from outside with real packets need root and BPF");

describe.skipIf(!privileged)("in the kernel", () => nodePortSuite(linuxCluster));
