// Egress gateways with real packets.
import { describe } from "vitest";
import { linuxCluster } from "./cluster-lab.ts";
import { egressSuite } from "./egress-suite.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: egress gateways with real packets need root and BPF");

describe.skipIf(!privileged)("egress gateways, in the kernel", () => egressSuite(linuxCluster));
