// Services from outside without a kernel.
import { describe } from "vitest";
import { simCluster } from "./cluster-lab.ts";
import { modeSuite, nodePortSuite } from "./node-port-suite.ts";
import { Recorder, tsharkSuite } from "./recorded.ts";

const recorder = new Recorder();
describe("on the simulated machine", () => {
  nodePortSuite(() => recorder.of(simCluster()));
  // Linux may have no such devices.
  describe("dsr by the tunnels between the nodes", () =>
    modeSuite(() => recorder.of(simCluster()), {
      ...{ lbAcceleration: "disabled", mode: "dsr", lbDispatch: "geneve", routing: "geneve" },
    }));
  tsharkSuite(recorder, 50);
});
