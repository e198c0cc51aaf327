// The same packets on the simulated machine.
import { cnpSuite } from "./cnp-suite.ts";
import { simGround } from "./grounds.ts";

cnpSuite("policies with packets on the simulated machine, against Cilium's verdicts", simGround);
