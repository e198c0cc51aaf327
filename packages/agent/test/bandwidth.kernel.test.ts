// Rates of workloads in the kernel, which has no fq here: what is too much is dropped.
import { describe } from "vitest";
import { bandwidthSuite } from "./bandwidth-suite.ts";
import { linuxCluster } from "./cluster-lab.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: rates of workloads need root and BPF");

describe.skipIf(!privileged)("in the kernel", () => bandwidthSuite(linuxCluster, false));
