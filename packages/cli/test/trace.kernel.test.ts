// Packets traced over the kernel's maps, and then sent.
import { join } from "node:path";
import { describe } from "vitest";
import { linuxCluster } from "../../agent/test/cluster-lab.ts";
import { traceSuite } from "./trace-suite.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: traces over the kernel's maps need root and BPF");

describe.skipIf(!privileged)("in the kernel", () =>
  traceSuite(linuxCluster, ({ folder }) => join(folder, "h0", "bpf")),
);
