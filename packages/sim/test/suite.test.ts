import { machineSuite } from "../../machine/test/suite.ts";
import { openSim } from "../src/index.ts";

machineSuite("the simulated machine", () => ({
  machine: openSim({ pump: (step) => setImmediate(step) }),
  pins: "/sys/fs/bpf/suite",
  cgroup: "suite",
  close: () => undefined,
}));
