// Several hosts as namespaces of the kernel.
import { describe } from "vitest";
import { linuxCluster } from "./cluster-lab.ts";
import { nodesSuite } from "./nodes-suite.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: several hosts with real packets need root and BPF");

describe.skipIf(!privileged)("in the kernel", () => nodesSuite(linuxCluster));
