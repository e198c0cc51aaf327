// Several hosts without a kernel.
import { describe } from "vitest";
import { simCluster } from "./cluster-lab.ts";
import { nodesSuite } from "./nodes-suite.ts";
import { Recorder, tsharkSuite } from "./recorded.ts";

const recorder = new Recorder();
describe("on the simulated machine", () => {
  nodesSuite(() => recorder.of(simCluster()), ["vxlan", "geneve"]);
  tsharkSuite(recorder, 50);
});
