// Dual stack and masquerading with real packets.
import { describe } from "vitest";
import { linuxCluster } from "./cluster-lab.ts";
import { masqueradeSuite } from "./masquerade-suite.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: masquerading with real packets needs root and BPF");

describe.skipIf(!privileged)("in the kernel", () => masqueradeSuite(linuxCluster));
