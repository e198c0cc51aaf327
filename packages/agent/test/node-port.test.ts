// Services from outside without a kernel.
import { describe } from "vitest";
import { simCluster } from "./cluster-lab.ts";
import { nodePortSuite } from "./node-port-suite.ts";
import { Recorder, tsharkSuite } from "./recorded.ts";

const recorder = new Recorder();
describe("on the simulated machine", () => {
  nodePortSuite(() => recorder.of(simCluster()));
  tsharkSuite(recorder, 50);
});
