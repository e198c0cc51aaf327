// Services from outside, with hosts that are namespaces of the kernel.
import { describe } from "vitest";
import { linuxCluster } from "./cluster-lab.ts";
import { nodePortSuite } from "./node-port-suite.ts";
import { quotesReset6, Recorder, tsharkSuite } from "./recorded.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: services from outside with real packets need root and BPF");

const recorder = new Recorder((frame) => !quotesReset6(frame));
describe.skipIf(!privileged)("in the kernel", () => {
  nodePortSuite(() => recorder.of(linuxCluster()));
  tsharkSuite(recorder, 50);
});
